/** Changes of a score over time. Pure. */

import type { AccountRow, HealthPoint } from '../api/types'
import { instant } from '../format/times'

const DAY_MS = 86_400_000

/** The score `days` before `tick`, or null where the history does not have that tick. */
export function scoreDaysAgo(history: readonly HealthPoint[], tick: string | null, days: number): number | null {
  const end = instant(tick)
  if (end === null) return null
  const wanted = end - days * DAY_MS
  return history.find((point) => instant(point.tick) === wanted)?.score ?? null
}

/** The history with the live score at its end: history has whole days only, and the open day is what people look at. */
export function withLive(history: readonly HealthPoint[], account: AccountRow): readonly HealthPoint[] {
  const last = instant(history.at(-1)?.tick)
  const open = instant(account.tick)
  if (account.tick === null || open === null || (last !== null && open <= last)) return history
  const { tick, score, band, trend, coverage } = account
  return [...history, { tick, score, band, trend, coverage, provisional: true }]
}
