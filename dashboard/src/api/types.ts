/** Shapes of the API: docs/design/0001-first-cut-contracts.md. Scores are points (0 to 100), coverage a fraction. */

export type Band = 'healthy' | 'watch' | 'at_risk' | 'unknown'
export type Trend = 'up' | 'flat' | 'down'

/** What stands behind the figures of one answer. */
export interface Receipt {
  watermark: string | null
  sealed_through: string | null
  model: string | null
  newest_ingested_at: string | null
  freshness_seconds: number | null
}

export interface User {
  email: string
  role?: string
}

export interface AccountRow {
  account_id: string
  name: string | null
  segment: string | null
  owner: string | null
  region: string | null
  plan: string | null
  score: number | null
  band: Band
  trend: Trend
  coverage: number | null
  /** Points that overrides add to what the signals say; 0 mostly. */
  adjustment?: number | null
  change_7d: number | null
  change_28d: number | null
  tick: string | null
  /** Next offset of metric values that is not in the score: its revision. */
  position?: number | null
}

export interface AccountsPage {
  items: AccountRow[]
  next_cursor: string | null
  total: number
  receipt: Receipt
}

export interface SummaryTick {
  tick: string
  mean_score: number | null
  healthy: number
  watch: number
  at_risk: number
}

export interface Summary {
  accounts: number
  scored: number
  mean_score: number | null
  bands: Record<Band, number>
  falling: number
  rising: number
  history: SummaryTick[]
  worst: AccountRow[]
  movers: AccountRow[]
  receipt: Receipt
}

/** How a signal stands. Stale: held, because its input is not known up to the tick. */
export type SignalStatus = 'not_applicable' | 'missing' | 'stale' | 'fresh'

export interface Contribution {
  signal: string
  label: string
  group: string
  weight: number
  contribution: number | null
  value: number | null
  unit: string | null
  status?: SignalStatus | null
  /** Failing checks of data quality, and topics that are behind, because of which it is held. */
  gated_by?: { check: string; source: string; since: string }[]
  outages?: { topic: string; complete_through: string }[]
}

export interface AccountDetail extends AccountRow {
  crm_id?: string | null
  created_at?: string | null
  model: string | null
  /** In the model's order of signals; empty without a score. */
  contributions: Contribution[]
  /** That of this account's partition. */
  receipt: Receipt
}

export interface HealthPoint {
  tick: string
  score: number | null
  band: Band
  trend: Trend
  coverage: number | null
  provisional: boolean
}

export interface HealthHistory {
  items: HealthPoint[]
  model: string | null
  receipt: Receipt
}

export interface MetricPoint {
  window_start: string
  metric: string
  value: number
  sealed: boolean
}

export interface MetricSeries {
  items: MetricPoint[]
  receipt: Receipt
}

/** Figures of the whole pipeline since the first event; those that the page shows. */
export interface Pipeline {
  events_in: number
  counted: number
  duplicates: number
  late: number
  quarantined: number
  dead_lettered: number
  metric_values: number
  scores: number
}
