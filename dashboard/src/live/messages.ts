/** Messages of the websocket `/v1/live`, checked as they arrive: an unreadable one becomes null and is ignored. */

import type { Band, Receipt, Trend } from '../api/types'

/** One account's live score. `micro`, `adjustment` and `coverage` count millionths (of a point, of one). */
export interface LiveScore {
  account_id: string
  tick: string
  micro: number | null
  band: Band
  trend: Trend
  coverage: number
  /** Millionths of a point that overrides add. */
  adjustment: number
  model: string
  position: number
  watermark: string | null
  sealedThrough: string | null
  newestIngestedAt: string | null
  /** Null where a delta leaves them out: the snapshot's stay. */
  name: string | null
  segment: string | null
  owner: string | null
}

export type ServerMessage =
  | { type: 'snapshot'; items: LiveScore[]; resume: string | null; receipt: Receipt | null }
  | { type: 'delta'; sequence: number | null; items: LiveScore[]; resume: string | null; receipt: Receipt | null }
  | { type: 'heartbeat'; sequence: number | null; receipt: Receipt | null }
  /** Live scores stand still, for example because Redis is away; `detail` says why. */
  | { type: 'degraded'; detail: string }

export type ClientMessage = { type: 'subscribe'; channel: 'portfolio'; resume?: string }

type Fields = Record<string, unknown>

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
const number = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null)

const BANDS: readonly string[] = ['healthy', 'watch', 'at_risk', 'unknown']
const TRENDS: readonly string[] = ['up', 'flat', 'down']

function liveScore(value: unknown): LiveScore | null {
  if (typeof value !== 'object' || value === null) return null
  const fields = value as Fields
  const accountId = text(fields['account_id'])
  const tick = text(fields['tick'])
  const position = number(fields['position'])
  if (accountId === null || tick === null || position === null) return null
  const band = text(fields['band'])
  const trend = text(fields['trend'])
  return {
    account_id: accountId,
    tick,
    micro: number(fields['score']),
    band: band !== null && BANDS.includes(band) ? (band as Band) : 'unknown',
    trend: trend !== null && TRENDS.includes(trend) ? (trend as Trend) : 'flat',
    coverage: number(fields['coverage']) ?? 0,
    adjustment: number(fields['adjustment']) ?? 0,
    model: text(fields['model']) ?? '',
    position,
    watermark: text(fields['watermark']),
    sealedThrough: text(fields['sealed_through']),
    newestIngestedAt: text(fields['newest_ingested_at']),
    name: text(fields['name']),
    segment: text(fields['segment']),
    owner: text(fields['owner']),
  }
}

const scores = (value: unknown): LiveScore[] =>
  Array.isArray(value) ? value.map(liveScore).filter((score) => score !== null) : []

const receipt = (value: unknown): Receipt | null =>
  typeof value === 'object' && value !== null ? (value as Receipt) : null

/** The message in one websocket frame, or null where it is none of ours. */
export function parseMessage(frame: unknown): ServerMessage | null {
  if (typeof frame !== 'string') return null
  let fields: Fields
  try {
    const value: unknown = JSON.parse(frame)
    if (typeof value !== 'object' || value === null) return null
    fields = value as Fields
  } catch {
    return null
  }
  const resume = text(fields['resume'])
  const sequence = number(fields['sequence'])
  switch (fields['type']) {
    case 'snapshot':
      return { type: 'snapshot', items: scores(fields['items']), resume, receipt: receipt(fields['receipt']) }
    case 'delta':
      return { type: 'delta', sequence, items: scores(fields['items']), resume, receipt: receipt(fields['receipt']) }
    case 'heartbeat':
      return { type: 'heartbeat', sequence, receipt: receipt(fields['receipt']) }
    case 'degraded':
      return { type: 'degraded', detail: text(fields['detail']) ?? 'Live scores stand still.' }
    default:
      return null
  }
}
