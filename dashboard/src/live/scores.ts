/** Live scores by account: how a snapshot replaces them and how a delta changes them. Pure. */

import type { Band } from '../api/types'
import type { LiveScore, ServerMessage } from './messages'

export type Scores = ReadonlyMap<string, LiveScore>

/** A score that moved. Scores in millionths of a point; null where there was or is none. */
export interface Change {
  account_id: string
  name: string | null
  from: number | null
  to: number | null
  bandFrom: Band | null
  bandTo: Band
  tick: string
  position: number
}

/** Smaller movements (under 0.01 points) change rows but are not worth a line of the feed. */
export const SMALLEST_CHANGE = 10_000

/** What `message` makes of `scores`, and the changes it brought. A snapshot is the new truth and brings none. */
export function applyMessage(scores: Scores, message: ServerMessage): [Scores, Change[]] {
  if (message.type === 'heartbeat' || message.type === 'degraded') return [scores, []]
  if (message.type === 'snapshot') {
    return [new Map(message.items.map((item) => [item.account_id, item])), []]
  }
  if (message.items.length === 0) return [scores, []]
  const next = new Map(scores)
  const changes: Change[] = []
  for (const item of message.items) {
    const before = next.get(item.account_id)
    if (before !== undefined && superseded(before, item)) continue
    const after: LiveScore =
      before === undefined
        ? item
        : {
            ...item,
            name: item.name ?? before.name,
            segment: item.segment ?? before.segment,
            owner: item.owner ?? before.owner,
          }
    next.set(item.account_id, after)
    const change = difference(before, after)
    if (change !== null) changes.push(change)
  }
  return [next, changes]
}

/** Of one model the greater position wins, an equal one is the same value again; another model takes over unless it is behind. */
const superseded = (known: LiveScore, item: LiveScore): boolean =>
  known.model === item.model ? item.position <= known.position : item.position < known.position

function difference(before: LiveScore | undefined, after: LiveScore): Change | null {
  const from = before?.micro ?? null
  const to = after.micro
  const moved =
    from === null || to === null ? from !== to : Math.abs(to - from) >= SMALLEST_CHANGE
  const newBand = before !== undefined && before.band !== after.band
  if (!moved && !newBand) return null
  return {
    account_id: after.account_id,
    name: after.name,
    from,
    to,
    bandFrom: before?.band ?? null,
    bandTo: after.band,
    tick: after.tick,
    position: after.position,
  }
}
