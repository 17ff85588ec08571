/** How old the newest figure is, and what the live indicator says. Pure. */

import type { Receipt } from '../api/types'
import type { Phase } from '../live/connection'

/** Receipts are asked for this often when nothing else brings one. */
export const RECEIPT_EVERY_MS = 5_000
/** Older figures than this are called degraded. */
export const DEGRADED_AFTER_SECONDS = 30

export interface ReceiptSeen {
  receipt: Receipt
  /** Clock of this machine at arrival, milliseconds. */
  at: number
}

/**
 * Seconds between the newest event included and now. The server's own figure counts (clocks of browsers are wrong);
 * between two receipts it does not grow, and it does once a receipt is overdue.
 */
export function freshness(seen: ReceiptSeen | null, now: number): number | null {
  if (seen === null || seen.receipt.freshness_seconds === null) return null
  const overdue = Math.max(0, now - seen.at - 2 * RECEIPT_EVERY_MS) / 1000
  return Math.max(0, seen.receipt.freshness_seconds) + overdue
}

export type Indicator = 'live' | 'reconnecting' | 'degraded' | 'connecting'

/**
 * One word for the state of the page. `attempt` is the number of failed attempts since the last message, `standstill` why the
 * server's live scores do not move (null while they do).
 */
export function indicator(phase: Phase, attempt: number, seconds: number | null, standstill: string | null): Indicator {
  if (phase !== 'live') return attempt > 0 ? 'reconnecting' : 'connecting'
  if (standstill !== null) return 'degraded'
  return seconds !== null && seconds > DEGRADED_AFTER_SECONDS ? 'degraded' : 'live'
}
