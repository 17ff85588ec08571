// A made-up book of accounts with the shapes of the API contract, for looking at the page without the pipeline.
// Deterministic: the same seed gives the same world.

const DAY = 86_400_000
export const MODEL = 'health-2026-11'
const FIRST_WATERMARK = Date.UTC(2023, 11, 2, 14)
const HISTORY_DAYS = 1_100

const SIGNALS = [
  ['usage_volume', "Product events in 28 days against the account's own level", 'usage', 25, 'ratio'],
  ['usage_recency', 'Days since the last product event', 'usage', 15, 'days'],
  ['active_users', "User-days in 28 days against the account's own level", 'adoption', 15, 'ratio'],
  ['feature_breadth', "Feature-days in 28 days against the account's own level", 'adoption', 10, 'ratio'],
  ['ticket_backlog', 'Tickets opened minus solved, over tickets touched, in 28 days', 'support', 10, 'ratio'],
  ['resolution_time', 'Mean days to solve a ticket, solved in 56 days', 'support', 10, 'days'],
  ['seat_change', 'Seats now against 92 days ago', 'commercial', 10, 'ratio'],
  ['failed_payments', 'Failed payments in 92 days', 'commercial', 5, 'payments'],
]

/** Seeded uniform numbers in [0, 1) (mulberry32). */
export function uniform(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const FIRST = 'Northwind Bluepeak Harbour Lumen Cobalt Juniper Meridian Quarry Saffron Tidewater Umbra Verdant Willow Aster Basalt Cinder Dovetail Ember Fathom Granite'.split(' ')
const SECOND = 'Logistics Analytics Robotics Foods Energy Health Labs Systems Media Travel Retail Finance Mobility Textiles Games Security'.split(' ')
const FORM = ['', ' Inc', ' GmbH', ' Ltd', ' AB', ' SA']
const OWNERS = ['Ada Lindqvist', 'Bram de Wit', 'Chiara Rossi', 'Dmitri Orlov', 'Efua Mensah', 'Farid Haddad']
const SEGMENTS = ['Enterprise', 'Mid-market', 'Small business']

export const bandOf = (micro) =>
  micro === null ? 'unknown' : micro >= 70e6 ? 'healthy' : micro >= 45e6 ? 'watch' : 'at_risk'
const clamp = (value) => Math.min(100, Math.max(0, value))
const iso = (time) => new Date(time).toISOString()

function partsOf(account, micro) {
  const random = uniform(account.seed + 7)
  const applies = SIGNALS.map((_, index) => !(index === 5 && account.seed % 3 === 0))
  const weights = SIGNALS.reduce((sum, signal, index) => sum + (applies[index] ? signal[3] : 0), 0)
  let left = micro
  const raw = SIGNALS.map((signal, index) => {
    const most = (signal[3] / weights) * 100e6
    return applies[index] ? Math.round(Math.min(most, most * (micro / 100e6) * (0.6 + 0.8 * random()))) : null
  })
  // What rounding and clipping left over goes where there is room, so that the parts sum to the score exactly.
  left -= raw.reduce((sum, part) => sum + (part ?? 0), 0)
  for (let index = 0; index < raw.length && left !== 0; index += 1) {
    if (raw[index] === null) continue
    const most = Math.floor((SIGNALS[index][3] / weights) * 100e6)
    const step = Math.max(-raw[index], Math.min(most - raw[index], left))
    raw[index] += step
    left -= step
  }
  return SIGNALS.map(([signal, label, group, weight, unit], index) => ({
    signal,
    label,
    group,
    weight,
    contribution: raw[index] === null ? null : raw[index] / 1e6,
    value: raw[index] === null ? null : unit === 'ratio' ? (raw[index] / 1e6 / weight) * 1.2 : unit === 'days' ? 0.4 + 9 * random() : Math.floor(3 * random()),
    unit,
    status: raw[index] === null ? 'not_applicable' : index === 4 && account.seed % 5 === 0 ? 'stale' : 'fresh',
    gated_by: [],
    outages: index === 4 && account.seed % 5 === 0 ? [{ topic: 'events.support', complete_through: iso(FIRST_WATERMARK - 4 * DAY) }] : [],
  }))
}

/** What an override takes from the score of some accounts, in millionths of a point. */
const adjustmentOf = (account) => (account.seed % 7 === 0 && account.micro !== null && account.micro < 87e6 ? -12_500_000 : 0)

export class World {
  constructor(count, seed = 11) {
    this.random = uniform(seed)
    this.watermark = FIRST_WATERMARK
    this.position = 1_000_000
    this.newestIngestedAt = Date.now()
    this.accounts = Array.from({ length: count }, (_, index) => this.#account(index))
    this.byId = new Map(this.accounts.map((account) => [account.account_id, account]))
  }

  #account(index) {
    const { random } = this
    const pick = (values) => values[Math.floor(random() * values.length)]
    const level = clamp(30 + 75 * Math.sqrt(random()) - 12 * random())
    const scored = random() > 0.04
    const account = {
      account_id: `00000000-0000-5000-8000-${String(index).padStart(12, '0')}`,
      crm_id: `001${String(index).padStart(12, 'A')}`,
      seed: index + 1,
      name: `${pick(FIRST)} ${pick(SECOND)}${pick(FORM)}`,
      segment: pick(SEGMENTS),
      owner: pick(OWNERS),
      region: pick(['EMEA', 'Americas', 'APAC']),
      plan: pick(['Team', 'Business', 'Enterprise']),
      created_at: iso(FIRST_WATERMARK - (200 + Math.floor(random() * HISTORY_DAYS)) * DAY),
      drift: (random() - 0.52) * 26,
      micro: scored ? Math.round(level * 1e6) : null,
      coverage: scored ? Math.min(1, 0.7 + random() * 0.45) : 0,
      position: this.position,
    }
    return account
  }

  /** Score in points `days` before now: a slow wave, a drift over the last weeks, a little noise. */
  past(account, days) {
    if (account.micro === null) return null
    const wave = 7 * (Math.sin((days + account.seed) / 41) - Math.sin(account.seed / 41))
    const drift = account.drift * Math.min(1, days / 45)
    const noise = days === 0 ? 0 : 2.4 * (uniform(account.seed * 7919 + days)() - 0.5)
    return Math.round(clamp(account.micro / 1e6 - drift + wave + noise) * 1e6) / 1e6
  }

  trend(account) {
    const change = account.micro === null ? 0 : account.micro / 1e6 - this.past(account, 28)
    return change > 3 ? 'up' : change < -3 ? 'down' : 'flat'
  }

  get tick() {
    return iso(Math.ceil(this.watermark / DAY) * DAY)
  }

  receipt() {
    return {
      watermark: iso(this.watermark),
      sealed_through: iso(Math.floor(this.watermark / DAY) * DAY - 7 * DAY),
      model: MODEL,
      newest_ingested_at: iso(this.newestIngestedAt),
      freshness_seconds: (Date.now() - this.newestIngestedAt) / 1000,
    }
  }

  row(account) {
    const { account_id, name, segment, owner, region, plan, micro, coverage, position } = account
    const score = micro === null ? null : micro / 1e6
    const change = (days) => (score === null ? null : Math.round((score - this.past(account, days)) * 1e6) / 1e6)
    return {
      account_id, name, segment, owner, region, plan, score, band: bandOf(micro), trend: this.trend(account), coverage, adjustment: adjustmentOf(account) / 1e6,
      change_7d: change(7), change_28d: change(28), tick: this.tick, position,
    }
  }

  /** The live score as the websocket sends it: millionths. */
  live(account, named) {
    const { sealed_through, watermark, newest_ingested_at } = this.receipt()
    const parts = partsOf(account, (account.micro ?? 0) - adjustmentOf(account))
    return {
      type: 'score', account_id: account.account_id, tick: this.tick, score: account.micro, band: bandOf(account.micro),
      trend: this.trend(account), coverage: Math.round(account.coverage * 1e6), adjustment: adjustmentOf(account),
      contributions: parts.map((part) => (part.contribution === null || account.micro === null ? null : Math.round(part.contribution * 1e6))),
      signal_values: parts.map((part) => part.value),
      model: MODEL, watermark, sealed_through, newest_ingested_at, position: account.position,
      ...(named ? { name: account.name, segment: account.segment, owner: account.owner } : {}),
    }
  }

  summary() {
    const scored = this.accounts.filter((account) => account.micro !== null)
    const bands = { healthy: 0, watch: 0, at_risk: 0, unknown: 0 }
    for (const account of this.accounts) bands[bandOf(account.micro)] += 1
    const mean = (values) => (values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length)
    const sample = scored.filter((_, index) => index % Math.max(1, Math.floor(scored.length / 300)) === 0)
    const history = Array.from({ length: 90 }, (_, index) => {
      const values = sample.map((account) => this.past(account, 89 - index))
      return {
        tick: iso(Date.parse(this.tick) - (89 - index) * DAY),
        mean_score: mean(values),
        healthy: values.filter((value) => value >= 70).length,
        watch: values.filter((value) => value < 70 && value >= 45).length,
        at_risk: values.filter((value) => value < 45).length,
      }
    })
    const rows = scored.map((account) => this.row(account))
    return {
      accounts: this.accounts.length,
      scored: scored.length,
      mean_score: mean(rows.map((row) => row.score)),
      bands,
      falling: rows.filter((row) => row.trend === 'down').length,
      rising: rows.filter((row) => row.trend === 'up').length,
      history,
      worst: [...rows].sort((one, other) => one.score - other.score).slice(0, 5),
      movers: [...rows].sort((one, other) => Math.abs(other.change_7d) - Math.abs(one.change_7d)).slice(0, 5),
      receipt: this.receipt(),
    }
  }

  list({ sort = 'score', order = 'asc', band, segment, owner, q, limit = '50', cursor }) {
    const rank = { down: 0, flat: 1, up: 2 }
    const key = { score: (row) => row.score, name: (row) => row.name, trend: (row) => rank[row.trend] }[sort]
    const rows = this.accounts
      .map((account) => this.row(account))
      .filter((row) => (!band || row.band === band) && (!segment || row.segment === segment) && (!owner || row.owner === owner))
      .filter((row) => !q || row.name.toLowerCase().includes(q.toLowerCase()))
      .sort((one, other) => {
        const [left, right] = [key(one), key(other)]
        if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1
        const compared = left < right ? -1 : left > right ? 1 : one.account_id < other.account_id ? -1 : 1
        return order === 'asc' ? compared : -compared
      })
    const start = Number(cursor ?? 0)
    const end = start + Number(limit)
    return { items: rows.slice(start, end), next_cursor: end < rows.length ? String(end) : null, total: rows.length, receipt: this.receipt() }
  }

  detail(account) {
    return {
      ...this.row(account),
      crm_id: account.crm_id,
      created_at: account.created_at,
      model: account.micro === null ? null : MODEL,
      contributions: account.micro === null ? [] : partsOf(account, account.micro - adjustmentOf(account)),
      receipt: this.receipt(),
    }
  }

  #days(account, from) {
    const age = Math.floor((this.watermark - Date.parse(account.created_at)) / DAY)
    const asked = from ? Math.ceil((this.watermark - Date.parse(from)) / DAY) : age
    return Math.max(0, Math.min(age, asked))
  }

  health(account, from) {
    const end = Date.parse(this.tick)
    const sealed = Date.parse(this.receipt().sealed_through)
    const days = this.#days(account, from)
    const items = Array.from({ length: days }, (_, index) => {
      const ago = days - index // the open day is not history yet
      const score = this.past(account, ago)
      return {
        tick: iso(end - ago * DAY), score, band: bandOf(score === null ? null : score * 1e6), trend: this.trend(account),
        coverage: account.coverage, provisional: end - ago * DAY > sealed,
      }
    })
    return { items, model: MODEL, receipt: this.receipt() }
  }

  metric(account, metric, from) {
    const start = Math.floor(this.watermark / DAY) * DAY
    const size = 20 + (account.seed % 400)
    const items = []
    for (let ago = this.#days(account, from) - 1; ago >= 0; ago -= 1) {
      const weekday = new Date(start - ago * DAY).getUTCDay()
      const share = (weekday === 0 || weekday === 6 ? 0.15 : 1) * ((this.past(account, ago) ?? 30) / 100)
      const value = Math.round(size * share * (metric === 'product.events' ? 9 : 0.4) * (0.7 + 0.6 * uniform(account.seed + ago * 31)()))
      if (value > 0) items.push({ window_start: iso(start - ago * DAY), metric, value: `${value}.000000`, sealed: ago > 7 })
    }
    return { items, receipt: this.receipt() }
  }

  /** Moves some scores, as a flush of the pipeline would. Returns the accounts that changed. */
  flush() {
    this.watermark += 60_000
    this.newestIngestedAt = Date.now()
    const changed = new Set()
    for (let index = 0; index < 1 + Math.floor(this.random() * 4); index += 1) {
      const account = this.accounts[Math.floor(this.random() ** 2 * this.accounts.length)]
      if (account === undefined || account.micro === null) continue
      this.position += 1
      account.position = this.position
      account.micro = Math.round(clamp(account.micro / 1e6 + (this.random() - 0.5) * (this.random() < 0.1 ? 18 : 1.6)) * 1e6)
      changed.add(account)
    }
    return [...changed]
  }

  pipeline() {
    const read = Math.round((Date.now() / 5) % 1_000_000)
    return {
      events_in: read, counted: Math.round(read * 0.97), duplicates: 120, late: 0, quarantined: 18, dead_lettered: 1,
      metric_values: Math.round(read * 0.4), scores: 0, lag: { rollup: 4210, scoring: 0 }, freshness_seconds: 0.6, by_kind: [],
    }
  }
}
