/** The smallest parts: band, trend, meter, change, states. */

import type { ComponentChildren } from 'preact'
import type { Band, Trend } from '../api/types'
import { direction, points, signed } from '../format/numbers'
import { BAND_NAME, TREND_NAME } from '../format/words'

/** Class name of a band: `band-at-risk`. */
export const bandClass = (band: Band): string => `band-${band.replace('_', '-')}`

export const BandTag = ({ band }: { band: Band }) => <span class={`tag ${bandClass(band)}`}>{BAND_NAME[band]}</span>

const ARROW: Record<Trend, string> = {
  up: 'M2.5 9.5 9 3M4.2 3H9v4.8',
  flat: 'M1.5 6h8.5M7 3l3 3-3 3',
  down: 'M2.5 2.5 9 9M9 4.2V9H4.2',
}

export const TrendArrow = ({ trend }: { trend: Trend }) => (
  <svg class={`trend ${trend}`} viewBox="0 0 12 12" role="img" aria-label={TREND_NAME[trend]}>
    <path d={ARROW[trend]} />
  </svg>
)

export const Change = ({ value, digits = 1 }: { value: number | null; digits?: number }) => (
  <span class={`change ${direction(value, digits)}`}>{signed(value, digits)}</span>
)

/** A score as a small bar from 0 to 100, in the colour of its band. The number beside it says the same. */
export const Meter = ({ score, band }: { score: number | null; band: Band }) => (
  <span class={`meter ${bandClass(band)}`} aria-hidden="true">
    <i style={{ width: `${score ?? 0}%` }} />
  </span>
)

/** Says that an override changes the score, and by how much; nothing where none does. `brief`: as one sign. */
export function Overridden({ points: adjustment, brief = false }: { points: number | null | undefined; brief?: boolean }) {
  if (!adjustment) return null
  const told = `An override changes this score by ${signed(adjustment)} points`
  return (
    <span class="mark" role="img" aria-label={told} title={told} data-testid="override-sign" data-adjustment={adjustment}>
      {brief ? '±' : 'override'}
    </span>
  )
}

export const Score = ({ score }: { score: number | null }) => <b class="score">{points(score)}</b>

/** What a part shows where it has no figures: loading, empty, or an error with a way out. */
export const State = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="state" role="status">
    <b>{title}</b>
    {children}
  </div>
)

export const Failure = ({ message, retry }: { message: string; retry: () => void }) => (
  <div class="state" role="alert">
    <b>This did not load</b>
    <p>{message}</p>
    <button type="button" class="button" onClick={retry}>
      Try again
    </button>
  </div>
)

export const Ghost = ({ width }: { width: string }) => <span class="ghost" style={{ width }} aria-hidden="true" />
