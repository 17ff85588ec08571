/** The figures of the whole book of accounts. */

import { effect } from '@preact/signals'
import { api } from '../api/client'
import { RECEIPT_EVERY_MS } from './freshness'
import { movement, seeReceipt } from './live'
import { Query } from './query'

/** While scores move the summary follows at this distance. */
const FOLLOW_MS = 2_000

export const summary = new Query(api.summary, (value) => seeReceipt(value.receipt))

/** What the connectors and the rollup have done so far: shown while the first load runs. */
export const pipeline = new Query(api.pipeline)

/** Keeps the summary current until the returned function is called. */
export function followSummary(): () => void {
  void summary.load()
  const stopFollowing = effect(() => {
    if (movement.value > 0) summary.loadSoon(FOLLOW_MS)
  })
  const asking = window.setInterval(() => summary.loadSoon(RECEIPT_EVERY_MS), RECEIPT_EVERY_MS)
  return () => {
    stopFollowing()
    window.clearInterval(asking)
    summary.reset()
  }
}
