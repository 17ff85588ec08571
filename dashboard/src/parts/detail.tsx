import { useEffect, useMemo, useRef } from 'preact/hooks'
import type { AccountDetail, HealthPoint, Receipt } from '../api/types'
import { percent, points } from '../format/numbers'
import { day, dayAndTime, duration } from '../format/times'
import { accountName, TREND_NAME } from '../format/words'
import { scoreDaysAgo, withLive } from '../state/changes'
import { OpenAccount, RANGE_NAME, type Range } from '../state/detail'
import { accountHref } from '../state/paths'
import { closeAccount } from '../state/route'
import { bandClass, BandTag, Change, Failure, Ghost, Overridden, State, TrendArrow } from './atoms'
import { Contributions } from './contributions'
import { lazily } from './lazy'

const HistoryChart = lazily(() => import('./history-chart'))
const UsageChart = lazily(() => import('./usage-chart'))

function Profile({ account }: { account: AccountDetail }) {
  const facts: [string, string | null | undefined][] = [
    ['Segment', account.segment],
    ['Plan', account.plan],
    ['Owner', account.owner],
    ['Region', account.region],
    ['CRM id', account.crm_id],
    ['Since', account.created_at ? day(account.created_at) : null],
  ]
  return (
    <dl class="profile">
      {facts.map(([name, value]) =>
        value ? (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ) : null,
      )}
    </dl>
  )
}

function Verdict({ account, history }: { account: AccountDetail; history: readonly HealthPoint[] }) {
  const change = (days: number): number | null => {
    const before = scoreDaysAgo(history, account.tick, days)
    return account.score === null || before === null ? null : account.score - before
  }
  return (
    <div class={`verdict ${bandClass(account.band)}`}>
      <b class="huge" data-testid="detail-score" data-score={account.score ?? ''} data-position={account.position ?? ''}>
        {points(account.score)}
      </b>
      <div class="verdict-words">
        <span class="line">
          <BandTag band={account.band} /> <Overridden points={account.adjustment} />
          <TrendArrow trend={account.trend} /> {TREND_NAME[account.trend]}
        </span>
        <span class="line quiet">
          <span>
            7 days <Change value={account.change_7d ?? change(7)} />
          </span>
          <span>
            28 days <Change value={account.change_28d ?? change(28)} />
          </span>
        </span>
        <span class="line quiet" title="Share of the weight that this account should have which is there and fresh">
          Coverage {percent(account.coverage)}
        </span>
      </div>
    </div>
  )
}

function ReceiptOf({ receipt }: { receipt: Receipt }) {
  const facts: [string, string][] = [
    ['Watermark', dayAndTime(receipt.watermark)],
    ['Final through', dayAndTime(receipt.sealed_through)],
    ['Model', receipt.model ?? '–'],
    ['Freshness', receipt.freshness_seconds === null ? '–' : duration(receipt.freshness_seconds)],
  ]
  return (
    <dl class="receipt" data-testid="receipt" aria-label="Receipt">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function Ranges({ open }: { open: OpenAccount }) {
  return (
    <div class="choice" role="group" aria-label="Range of the charts">
      {(Object.keys(RANGE_NAME) as Range[]).map((range) => (
        <button key={range} type="button" aria-pressed={open.range.value === range} onClick={() => (open.range.value = range)}>
          {RANGE_NAME[range]}
        </button>
      ))}
    </div>
  )
}

function Charts({ open, account }: { open: OpenAccount; account: AccountDetail }) {
  const history = open.history.answer.value
  const usage = open.usage.answer.value
  const ticks = useMemo(() => withLive(history.value?.items ?? [], account), [history.value, account])
  return (
    <>
      <section aria-label="Score history">
        <div class="section-head">
          <h3>Score history</h3>
          <Ranges open={open} />
        </div>
        {history.value !== null && ticks.length > 0 ? (
          <HistoryChart items={ticks} />
        ) : history.error !== null ? (
          <Failure message={history.error} retry={() => void open.history.load()} />
        ) : history.loading ? (
          <div class="chart-ghost" aria-busy="true" />
        ) : (
          <p class="quiet">No tick has been scored in this range yet.</p>
        )}
      </section>
      <section class="usage" aria-label="Usage">
        <h3>Usage</h3>
        {usage.value !== null ? (
          <UsageChart usage={usage.value} />
        ) : usage.error !== null ? (
          <Failure message={usage.error} retry={() => void open.usage.load()} />
        ) : (
          <div class="chart-ghost" aria-busy="true" />
        )}
      </section>
    </>
  )
}

function Content({ open }: { open: OpenAccount }) {
  const { value, error, missing } = open.detail.answer.value
  if (value === null) {
    if (missing) {
      return (
        <State title="No such account">
          <p>It may have been deleted, or the link is not complete.</p>
        </State>
      )
    }
    if (error !== null) return <Failure message={error} retry={() => void open.detail.load()} />
    return (
      <div class="detail-loading" aria-busy="true">
        <Ghost width="45%" />
        <Ghost width="70%" />
        <Ghost width="90%" />
        <Ghost width="85%" />
      </div>
    )
  }
  return (
    <>
      <Verdict account={value} history={open.history.answer.value.value?.items ?? []} />
      <Profile account={value} />
      <section aria-label="Contributions">
        <h3>What makes the score</h3>
        {value.contributions.length > 0 ? (
          <Contributions account={value} />
        ) : (
          <p class="quiet">Nothing to score yet: no signal of the model applies to this account so far.</p>
        )}
      </section>
      <Charts open={open} account={value} />
      <ReceiptOf receipt={value.receipt} />
    </>
  )
}

/** Puts the focus back where the account was opened from: browsers lose it when the hash changes. */
function focusRow(id: string): void {
  const row = document.querySelector<HTMLElement>(`[data-account-id="${CSS.escape(id)}"] a`)
  const link = row ?? document.querySelector<HTMLElement>(`a[href="${accountHref(id).replaceAll('"', '')}"]`)
  link?.focus({ preventScroll: true })
}

/** One account over the overview. A modal dialog: focus stays in it, Escape closes it, and focus returns to its row. */
export function Detail({ id }: { id: string }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const open = useMemo(() => new OpenAccount(id), [id])
  useEffect(() => () => open.close(), [open])
  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => {
      element?.close()
      focusRow(id)
    }
  }, [])
  const account = open.detail.answer.value.value
  const leave = (event: Event): void => {
    event.preventDefault()
    closeAccount()
  }
  return (
    <dialog
      ref={dialog}
      class="detail"
      data-testid="account-detail"
      data-account-id={id}
      aria-labelledby="account-title"
      onCancel={leave}
      onClick={(event) => event.target === dialog.current && closeAccount()}
    >
      <div class="detail-body">
        <header>
          <h2 id="account-title">{account === null ? 'Account' : accountName(account.name, account.account_id)}</h2>
          <button type="button" class="button plain" onClick={closeAccount} aria-label="Close account">
            <svg viewBox="0 0 12 12" class="cross" aria-hidden="true">
              <path d="M2 2l8 8M10 2l-8 8" />
            </svg>
          </button>
        </header>
        <Content open={open} />
      </div>
    </dialog>
  )
}
