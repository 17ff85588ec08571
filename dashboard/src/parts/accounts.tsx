import { useSignal } from '@preact/signals'
import { useLayoutEffect, useRef } from 'preact/hooks'
import type { AccountsQuery } from '../api/client'
import type { AccountRow } from '../api/types'
import { percent } from '../format/numbers'
import { accountName } from '../format/words'
import { list, loadMore, NO_FILTER, occupied, query, reload, setQuery, sortBy } from '../state/accounts'
import { scores, touched } from '../state/live'
import { accountHref } from '../state/paths'
import { overlaid } from '../state/rows'
import { BandTag, Change, Failure, Ghost, Meter, Overridden, Score, State, TrendArrow } from './atoms'
import { Filters } from './filters'
import { FirstLoad } from './first-load'
import { inSight } from './window'

const HIGHLIGHT_MS = 1_600
const COLUMNS = 9

function Heading({ sort, children, number }: { sort: AccountsQuery['sort']; children: string; number?: boolean }) {
  const { sort: current, order } = query.value
  const sorted = current !== sort ? 'none' : order === 'asc' ? 'ascending' : 'descending'
  return (
    <th scope="col" aria-sort={sorted} class={number ? 'number' : ''}>
      <button type="button" onClick={() => sortBy(sort)}>
        {children}
        <span class="order" aria-hidden="true">
          {sorted === 'none' ? '' : sorted === 'ascending' ? '↑' : '↓'}
        </span>
      </button>
    </th>
  )
}

function Row({ row, index }: { row: AccountRow; index: number }) {
  const changedAt = touched.get(row.account_id) ?? 0
  const fresh = Date.now() - changedAt < HIGHLIGHT_MS
  const open = (event: MouseEvent): void => {
    // The whole row is a target for the pointer; the link in it is the one for everybody else.
    if (!(event.target as HTMLElement).closest('a')) window.location.hash = accountHref(row.account_id)
  }
  return (
    <tr data-testid="account-row" data-account-id={row.account_id} aria-rowindex={index + 2} onClick={open}>
      <td class="name">
        <a href={accountHref(row.account_id)}>{accountName(row.name, row.account_id)}</a>
      </td>
      <td class="quiet segment">{row.segment ?? ''}</td>
      <td class="quiet owner">{row.owner ?? ''}</td>
      <td
        key={`score ${changedAt}`}
        class={`number score-cell ${fresh ? 'fresh' : ''}`}
        data-testid="account-score"
        data-score={row.score ?? ''}
        data-position={row.position ?? ''}
      >
        <Meter score={row.score} band={row.band} />
        <Score score={row.score} />
      </td>
      <td class="band">
        <BandTag band={row.band} /> <Overridden points={row.adjustment} brief />
      </td>
      <td class="trend-cell">
        <TrendArrow trend={row.trend} />
      </td>
      <td class="number week">
        <Change value={row.change_7d} />
      </td>
      <td class="number month">
        <Change value={row.change_28d} />
      </td>
      <td class="number quiet coverage">{percent(row.coverage)}</td>
    </tr>
  )
}

const Blank = ({ rows }: { rows: number }) => (
  <tr class="blank" aria-hidden="true">
    <td colSpan={COLUMNS} style={{ height: `calc(var(--row) * ${rows})` }} />
  </tr>
)

/** Up and down move between the rows, as in any list. */
function move(event: KeyboardEvent): void {
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
  const row = (event.target as HTMLElement).closest('tr')
  const other = event.key === 'ArrowDown' ? row?.nextElementSibling : row?.previousElementSibling
  const link = other?.querySelector('a')
  if (!link) return
  event.preventDefault()
  link.focus()
}

function Table() {
  const { rows, total, loading, error } = list.value
  const body = useRef<HTMLTableSectionElement>(null)
  const box = useRef<HTMLDivElement>(null)
  const sight = useSignal({ first: 0, end: 40 })

  useLayoutEffect(() => {
    const look = (): void => {
      if (body.current === null || box.current === null) return
      const height = Number.parseFloat(getComputedStyle(body.current).getPropertyValue('--row')) || 36
      const frame = box.current.getBoundingClientRect()
      const top = body.current.getBoundingClientRect().top
      // On a phone the page scrolls and not the box: what counts is what both let through.
      const upper = Math.max(0, frame.top)
      const lower = Math.min(window.innerHeight, frame.bottom)
      const next = inSight(Math.max(0, upper - top), Math.max(0, lower - upper), height, rows.length)
      const { first, end } = sight.peek()
      if (next.first !== first || next.end !== end) sight.value = next
      if (next.end >= rows.length - 20) loadMore()
    }
    look()
    const options = { passive: true, capture: true }
    window.addEventListener('scroll', look, options)
    window.addEventListener('resize', look)
    return () => {
      window.removeEventListener('scroll', look, options)
      window.removeEventListener('resize', look)
    }
  }, [rows, loading])

  const { first } = sight.value
  const end = Math.min(sight.value.end, rows.length)
  return (
    <div
      class="table-box"
      ref={box}
      onPointerEnter={() => (occupied.value = true)}
      onPointerLeave={() => (occupied.value = false)}
      onKeyDown={move}
    >
      <table class="accounts-table" data-testid="accounts-table" aria-rowcount={(total ?? rows.length) + 1} aria-busy={loading}>
        <thead>
          <tr aria-rowindex={1}>
            <Heading sort="name">Account</Heading>
            <th scope="col" class="segment">Segment</th>
            <th scope="col" class="owner">Owner</th>
            <Heading sort="score" number>
              Score
            </Heading>
            <th scope="col" class="band">Band</th>
            <Heading sort="trend">Trend</Heading>
            <th scope="col" class="number week">7 days</th>
            <th scope="col" class="number month">28 days</th>
            <th scope="col" class="number coverage" title="Share of the weight that the account should have which is there and fresh">
              Coverage
            </th>
          </tr>
        </thead>
        <tbody ref={body}>
          {first > 0 && <Blank rows={first} />}
          {rows.slice(first, end).map((row, index) => (
            <Row key={row.account_id} row={overlaid(row, scores.value.get(row.account_id))} index={first + index} />
          ))}
          {end < rows.length && <Blank rows={rows.length - end} />}
          {loading && rows.length === 0 && <Loading />}
        </tbody>
      </table>
      {loading && rows.length > 0 && <p class="quiet more">Loading…</p>}
      {error !== null && (
        <p class="more" role="alert">
          {error}{' '}
          <button type="button" class="button small" onClick={() => loadMore(true)}>
            Try again
          </button>
        </p>
      )}
    </div>
  )
}

const Loading = () =>
  Array.from({ length: 14 }, (_, index) => (
    <tr key={index} aria-hidden="true">
      <td colSpan={COLUMNS}>
        <Ghost width={`${92 - ((index * 17) % 40)}%`} />
      </td>
    </tr>
  ))

function Content() {
  const { rows, total, error, loading } = list.value
  const { band, segment, owner, q } = query.value
  if (error !== null && rows.length === 0) return <Failure message={error} retry={() => void reload()} />
  if (!loading && total === 0) {
    if (band === '' && segment === '' && owner === '' && q === '') return <FirstLoad />
    return (
      <State title="No account matches">
        <p>Nothing in this book fits the search and filters together.</p>
        <button type="button" class="button" onClick={() => setQuery(NO_FILTER)}>
          Show all accounts
        </button>
      </State>
    )
  }
  return <Table />
}

/** All accounts by health: filtered, sorted and paged by the server, live on top. */
export const Accounts = () => (
  <section class="card panel accounts" aria-label="Accounts by health">
    <Filters />
    <Content />
  </section>
)
