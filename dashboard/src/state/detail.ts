/** Everything the page shows about one account. */

import { computed, effect, signal } from '@preact/signals'
import { api } from '../api/client'
import type { AccountDetail, HealthHistory, MetricPoint } from '../api/types'
import { daysBefore } from '../format/times'
import { receipt, scores } from './live'
import { Query } from './query'

export type Range = '90d' | '1y' | 'all'
export const RANGE_NAME: Record<Range, string> = { '90d': '90 days', '1y': '1 year', all: 'All' }
const RANGE_DAYS: Record<Range, number | null> = { '90d': 90, '1y': 365, all: null }

const FOLLOW_MS = 1_000

export interface Usage {
  events: MetricPoint[]
  users: MetricPoint[]
}

/** One opened account. Call `close` at the end. */
export class OpenAccount {
  readonly range = signal<Range>('90d')
  readonly detail: Query<AccountDetail>
  readonly history: Query<HealthHistory>
  readonly usage: Query<Usage>
  readonly #stops: (() => void)[]

  constructor(readonly id: string) {
    this.detail = new Query(
      (abort) => api.account(id, abort),
      (value) => {
        // The socket may be ahead of the store: asked again until both tell of the same revision.
        const newest = scores.peek().get(id)
        if (newest !== undefined && newest.model === value.model && (value.position ?? -1) < newest.position) {
          this.detail.loadSoon(FOLLOW_MS)
        }
      },
    )
    this.history = new Query((abort) => api.health(id, this.#from(), null, abort))
    this.usage = new Query(async (abort) => {
      const [events, users] = await Promise.all([
        api.metric(id, 'product.events', this.#from(), null, abort),
        api.metric(id, 'product.active_users', this.#from(), null, abort),
      ])
      return { events: events.items, users: users.items }
    })
    void this.detail.load()
    // The deltas carry scores but no labels or values: the account is asked for again, so that its parts still add up.
    const live = computed(() => scores.value.get(id))
    const known = live.peek()
    let position = known?.position
    let tick = known?.tick
    this.#stops = [
      effect(() => {
        void this.range.value
        this.#loadCharts(false)
      }),
      effect(() => {
        const next = live.value
        if (next === undefined || next.position === position) return
        position = next.position
        this.detail.loadSoon(FOLLOW_MS)
        if (next.tick !== tick) this.#loadCharts(true)
        tick = next.tick
      }),
    ]
  }

  #loadCharts(soon: boolean): void {
    for (const query of [this.history, this.usage]) {
      if (soon) query.loadSoon(FOLLOW_MS)
      else void query.load()
    }
  }

  /** Start of the range in source time. */
  #from(): string | null {
    const days = RANGE_DAYS[this.range.peek()]
    const end = this.detail.answer.peek().value?.receipt.watermark ?? receipt.peek()?.watermark
    return days === null ? null : daysBefore(end, days)
  }

  close(): void {
    for (const stop of this.#stops) stop()
    for (const query of [this.detail, this.history, this.usage]) query.reset()
  }
}
