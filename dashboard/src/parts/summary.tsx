import type { AccountRow, Band, Summary } from '../api/types'
import { sparkline } from '../chart/sparkline'
import { count, percent, points } from '../format/numbers'
import { day } from '../format/times'
import { accountName, BAND_NAME, BANDS } from '../format/words'
import { query, setQuery } from '../state/accounts'
import { scores } from '../state/live'
import { accountHref } from '../state/paths'
import { overlaid } from '../state/rows'
import { summary } from '../state/summary'
import { bandClass, Change, Failure, Ghost, Meter, Score } from './atoms'

const WIDTH = 240
const HEIGHT = 44
/** Points that the sparkline spans at the least. */
const SPAN = 2

function MeanScore({ figures }: { figures: Summary }) {
  const values = figures.history.map((tick) => tick.mean_score)
  const { line, area, end } = sparkline(values, WIDTH, HEIGHT, SPAN)
  const first = values.find((value) => value !== null) ?? null
  const last = figures.mean_score
  return (
    <section class="card tile" aria-label="Book of accounts">
      <div class="pair">
        <div>
          <h2>Accounts</h2>
          <p class="big" data-testid="summary-accounts" data-value={figures.accounts}>
            {count(figures.accounts)}
          </p>
          <p class="quiet">{count(figures.scored)} scored</p>
        </div>
        <div>
          <h2>Mean score</h2>
          <p class="big" data-testid="summary-mean-score" data-value={figures.mean_score ?? ''}>
            {points(figures.mean_score)}
          </p>
          <p class="quiet">
            <Change value={first === null || last === null ? null : last - first} /> in {values.length} days
          </p>
        </div>
      </div>
      <svg
        class="sparkline"
        viewBox={`0 -3 ${WIDTH} ${HEIGHT + 6}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Mean score, last ${values.length} ticks: from ${points(first)} on ${day(figures.history[0]?.tick)} to ${points(last)}`}
      >
        <path class="area" d={area} />
        <path class="line" d={line} />
        {end !== null && <path class="end" d={`M${end.x} ${end.y}h0.001`} />}
      </svg>
    </section>
  )
}

function Distribution({ figures }: { figures: Summary }) {
  const choose = (band: Band): void => setQuery({ band: query.peek().band === band ? '' : band })
  return (
    <section class="card tile" aria-label="Distribution over bands">
      <div class="tile-head">
        <h2>Health bands</h2>
        <p class="tides">
          <span>
            <Arrow up={false} /> <b data-testid="summary-falling">{count(figures.falling)}</b> falling
          </span>
          <span>
            <Arrow up /> <b data-testid="summary-rising">{count(figures.rising)}</b> rising
          </span>
        </p>
      </div>
      <div class="stack" aria-hidden="true">
        {BANDS.map((band) => (
          <i key={band} class={bandClass(band)} style={{ flexGrow: figures.bands[band] }} />
        ))}
      </div>
      <ul class="legend">
        {BANDS.map((band) => (
          <li key={band}>
            <button
              type="button"
              aria-pressed={query.value.band === band}
              onClick={() => choose(band)}
              title={`Show only ${BAND_NAME[band].toLowerCase()} accounts`}
            >
              <i class={bandClass(band)} aria-hidden="true" />
              <span>{BAND_NAME[band]}</span>
              <b>{count(figures.bands[band])}</b>
              <span class="quiet">{percent(figures.accounts === 0 ? null : figures.bands[band] / figures.accounts)}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}

const Arrow = ({ up }: { up: boolean }) => (
  <svg class={`trend ${up ? 'up' : 'down'}`} viewBox="0 0 12 12" aria-hidden="true">
    <path d={up ? 'M2.5 9.5 9 3M4.2 3H9v4.8' : 'M2.5 2.5 9 9M9 4.2V9H4.2'} />
  </svg>
)

function Ranking({ title, rows, show }: { title: string; rows: readonly AccountRow[]; show: 'change' | 'score' }) {
  return (
    <section class="card tile" aria-label={title}>
      <h2>{title}</h2>
      {rows.length === 0 && <p class="quiet">Nothing to rank yet.</p>}
      <ol class="ranking">
        {rows.map((raw) => {
          const row = overlaid(raw, scores.value.get(raw.account_id))
          return (
            <li key={row.account_id}>
              <a href={accountHref(row.account_id)}>
                <span class="name">{accountName(row.name, row.account_id)}</span>
                {show === 'change' ? <span class="quiet">{points(row.score)}</span> : <Meter score={row.score} band={row.band} />}
                {show === 'change' ? <Change value={row.change_7d} /> : <Score score={row.score} />}
              </a>
            </li>
          )
        })}
      </ol>
    </section>
  )
}

const Loading = () => (
  <>
    {['accounts', 'bands', 'movers', 'worst'].map((tile) => (
      <section key={tile} class="card tile" aria-busy="true" aria-label="Loading">
        <Ghost width="40%" />
        <Ghost width="65%" />
        <Ghost width="90%" />
        <Ghost width="80%" />
      </section>
    ))}
  </>
)

/** The strip of figures above the table. */
export function SummaryStrip() {
  const { value, error } = summary.answer.value
  if (value === null) {
    if (error !== null) {
      return (
        <div class="summary">
          <section class="card tile wide">
            <Failure message={error} retry={() => void summary.load()} />
          </section>
        </div>
      )
    }
    return (
      <div class="summary">
        <Loading />
      </div>
    )
  }
  return (
    <div class="summary">
      <MeanScore figures={value} />
      <Distribution figures={value} />
      <Ranking title="Biggest movers, 7 days" rows={value.movers.slice(0, 5)} show="change" />
      <Ranking title="Lowest scores" rows={value.worst.slice(0, 5)} show="score" />
    </div>
  )
}
