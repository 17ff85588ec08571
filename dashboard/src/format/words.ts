/** Names of bands, trends and fates as shown. */

import type { Band, Trend } from '../api/types'

/** From best to worst, as the stacked bar shows them. */
export const BANDS: readonly Band[] = ['healthy', 'watch', 'at_risk', 'unknown']

export const BAND_NAME: Record<Band, string> = {
  healthy: 'Healthy',
  watch: 'Watch',
  at_risk: 'At risk',
  unknown: 'Unknown',
}

export const TREND_NAME: Record<Trend, string> = { up: 'rising', flat: 'steady', down: 'falling' }

/** Lower bounds of the bands, inclusive, in points: models/health. */
export const BAND_FLOORS: readonly { band: Band; from: number; to: number }[] = [
  { band: 'healthy', from: 70, to: 100 },
  { band: 'watch', from: 45, to: 70 },
  { band: 'at_risk', from: 0, to: 45 },
]

/** `at_risk` or `dead_lettered` as words: `At risk`, `Dead lettered`. */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ').replaceAll('.', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** What to call an account whose name has not arrived. */
export const accountName = (name: string | null | undefined, id: string): string =>
  name === null || name === undefined || name === '' ? `Account ${id.slice(0, 8)}` : name
