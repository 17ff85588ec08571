/** Rows of the account list: pages joined, live scores laid over them. Pure. */

import type { AccountRow } from '../api/types'
import { pointsOf } from '../format/numbers'
import type { LiveScore } from '../live/messages'

/** Rows of a further page without those already there: an account may move between two pages while they are read. */
export function joined(rows: readonly AccountRow[], more: readonly AccountRow[]): AccountRow[] {
  const known = new Set(rows.map((row) => row.account_id))
  return [...rows, ...more.filter((row) => !known.has(row.account_id))]
}

/**
 * A row of the API with the live score laid over it. The socket is complete and ordered, so its value stands unless the row
 * says that it is newer; changes keep their starting points.
 */
export function overlaid(row: AccountRow, live: LiveScore | undefined): AccountRow {
  if (live === undefined || (row.position ?? -1) > live.position) return row
  const score = pointsOf(live.micro)
  const moved = score === null || row.score === null ? null : score - row.score
  return {
    ...row,
    score,
    band: live.band,
    trend: live.trend,
    coverage: live.coverage / 1_000_000,
    adjustment: pointsOf(live.adjustment),
    change_7d: shifted(row.change_7d, moved),
    change_28d: shifted(row.change_28d, moved),
    tick: live.tick,
    position: live.position,
  }
}

const shifted = (change: number | null, moved: number | null): number | null =>
  change === null || moved === null ? null : change + moved
