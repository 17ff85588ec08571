import { useEffect, useRef } from 'preact/hooks'
import type { AccountsQuery } from '../api/client'
import { count } from '../format/numbers'
import { BAND_NAME, BANDS } from '../format/words'
import { list, NO_FILTER, query, setQuery } from '../state/accounts'
import { owners, segments } from '../state/live'

const TYPING_MS = 200

function Choice(props: { label: string; value: string; options: readonly [string, string][]; choose: (value: string) => void }) {
  return (
    <select
      class={`field ${props.value === '' ? '' : 'set'}`}
      aria-label={props.label}
      value={props.value}
      onChange={(event) => props.choose(event.currentTarget.value)}
    >
      <option value="">{props.label}</option>
      {props.options.map(([value, name]) => (
        <option key={value} value={value}>
          {name}
        </option>
      ))}
    </select>
  )
}

/** Orders for a phone, where the table has no headings. */
const ORDERS: readonly [string, string][] = [
  ['score asc', 'Lowest score first'],
  ['score desc', 'Highest score first'],
  ['name asc', 'By name'],
  ['trend asc', 'Falling first'],
]

const same = (value: string): [string, string] => [value, value]

/** Search and filters above the table. `/` jumps to the search. */
export function Filters() {
  const search = useRef<HTMLInputElement>(null)
  const typing = useRef<number | undefined>(undefined)
  const { band, segment, owner, q } = query.value
  const filtered = band !== '' || segment !== '' || owner !== '' || q !== ''

  useEffect(() => {
    const jump = (event: KeyboardEvent): void => {
      const inField = event.target instanceof HTMLElement && event.target.closest('input, select, textarea, dialog')
      if (event.key !== '/' || event.ctrlKey || event.metaKey || inField) return
      event.preventDefault()
      search.current?.focus()
    }
    window.addEventListener('keydown', jump)
    return () => {
      window.removeEventListener('keydown', jump)
      window.clearTimeout(typing.current)
    }
  }, [])

  // The query may be cleared from elsewhere; what is being typed is not touched.
  useEffect(() => {
    if (search.current !== null && search.current.value.trim() !== q && search.current !== document.activeElement) {
      search.current.value = q
    }
  }, [q])

  const type = (text: string): void => {
    window.clearTimeout(typing.current)
    typing.current = window.setTimeout(() => setQuery({ q: text.trim() }), TYPING_MS)
  }
  const clear = (): void => {
    window.clearTimeout(typing.current)
    if (search.current !== null) search.current.value = ''
    setQuery(NO_FILTER)
  }

  return (
    <div class="panel-head filters" role="search">
      <h2>Accounts by health</h2>
      <span class="quiet" aria-live="polite">
        {list.value.total === null ? '' : count(list.value.total)}
      </span>
      <span class="space" />
      {filtered && (
        <button type="button" class="button plain small" onClick={clear}>
          Clear
        </button>
      )}
      <input
        ref={search}
        class="field"
        type="search"
        placeholder="Search name  /"
        aria-label="Search accounts by name"
        defaultValue={q}
        onInput={(event) => type(event.currentTarget.value)}
      />
      <Choice
        label="All bands"
        value={band}
        options={BANDS.map((name) => [name, BAND_NAME[name]])}
        choose={(value) => setQuery({ band: value })}
      />
      <Choice label="All segments" value={segment} options={segments.value.map(same)} choose={(value) => setQuery({ segment: value })} />
      <Choice label="All owners" value={owner} options={owners.value.map(same)} choose={(value) => setQuery({ owner: value })} />
      <select
        class="field sort"
        aria-label="Order"
        value={`${query.value.sort} ${query.value.order}`}
        onChange={(event) => {
          const [sort, order] = event.currentTarget.value.split(' ') as [AccountsQuery['sort'], AccountsQuery['order']]
          setQuery({ sort, order })
        }}
      >
        {ORDERS.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </div>
  )
}
