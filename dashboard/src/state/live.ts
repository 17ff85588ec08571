/** The live picture of the page: scores, feed, connection, and the newest receipt. */

import { computed, signal } from '@preact/signals'
import type { Receipt } from '../api/types'
import { STOPPED, type Connection } from '../live/connection'
import { addChanges, EMPTY_FEED, pauseFeed, resumeFeed } from '../live/feed'
import type { LiveScore, ServerMessage } from '../live/messages'
import { applyMessage, type Scores } from '../live/scores'
import { LiveSocket } from '../live/socket'
import { freshness, indicator, type ReceiptSeen } from './freshness'
import { sessionExpired } from './session'

export const scores = signal<Scores>(new Map())
export const feed = signal(EMPTY_FEED)
export const connection = signal<Connection>(STOPPED)
/** Wall clock in milliseconds, once a second. */
export const now = signal(Date.now())
/** When a delta last changed the score of an account, for the highlight; milliseconds by account. */
export const touched = new Map<string, number>()
/** Counts deltas that changed something: what reads figures from the API asks again. */
export const movement = signal(0)

/** Why live scores stand still although the connection is up; null while they do not. */
export const standstill = signal<string | null>(null)

const receiptSeen = signal<ReceiptSeen | null>(null)

export const receipt = computed<Receipt | null>(() => receiptSeen.value?.receipt ?? null)
export const freshnessSeconds = computed(() => freshness(receiptSeen.value, now.value))
export const status = computed(() =>
  indicator(connection.value.phase, connection.value.attempt, freshnessSeconds.value, standstill.value),
)

/** Distinct values among the live scores, for the filters. */
const distinct = (pick: (score: LiveScore) => string | null): string[] => {
  const values = new Set<string>()
  for (const score of scores.value.values()) {
    const value = pick(score)
    if (value !== null && value !== '') values.add(value)
  }
  return [...values].sort((one, other) => one.localeCompare(other))
}
// Segments and owners hardly ever change, and deltas come four times a second: looked at again only with a snapshot.
const snapshots = signal(0)
export const segments = computed(() => (snapshots.value, distinct((score) => score.segment)))
export const owners = computed(() => (snapshots.value, distinct((score) => score.owner)))

/** Takes in the receipt of any answer; the newest watermark stays. */
export function seeReceipt(next: Receipt | null | undefined): void {
  if (next === null || next === undefined) return
  receiptSeen.value = { receipt: next, at: Date.now() }
}

function take(message: ServerMessage): void {
  if (message.type === 'degraded') {
    standstill.value = message.detail
    return
  }
  // A token to go on from is what the server gives while it follows live scores, and only then.
  if (message.type !== 'heartbeat' && message.resume !== null) standstill.value = null
  const [next, changes] = applyMessage(scores.peek(), message)
  const at = Date.now()
  if (next !== scores.peek()) {
    scores.value = next
    movement.value += 1
  }
  if (message.type === 'snapshot') snapshots.value += 1
  for (const change of changes) touched.set(change.account_id, at)
  feed.value = addChanges(feed.peek(), changes, at)
  seeReceipt(message.receipt)
}

const socket = new LiveSocket(
  `${window.location.protocol === 'https:' ? 'wss' : 'ws'}://${window.location.host}/v1/live`,
  {
    message: take,
    state(next) {
      connection.value = next
      if (next.phase === 'refused') sessionExpired()
    },
  },
)

let ticking: number | undefined

export function startLive(): void {
  ticking = window.setInterval(() => {
    now.value = Date.now()
  }, 1000)
  socket.start()
}

export function stopLive(): void {
  window.clearInterval(ticking)
  socket.stop()
  scores.value = new Map()
  feed.value = EMPTY_FEED
  standstill.value = null
  touched.clear()
  receiptSeen.value = null
}

export const pause = (): void => {
  feed.value = pauseFeed(feed.peek())
}
export const resume = (): void => {
  feed.value = resumeFeed(feed.peek())
}

window.addEventListener('online', () => socket.hurry())
document.addEventListener('visibilitychange', () => document.hidden || socket.hurry())
