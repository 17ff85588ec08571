import { points, pointsOf } from '../format/numbers'
import { duration } from '../format/times'
import { accountName, BAND_NAME } from '../format/words'
import type { FeedEntry } from '../live/feed'
import { connection, feed, now, pause, resume } from '../state/live'
import { accountHref } from '../state/paths'
import { bandClass, Change, State } from './atoms'

function Entry({ entry, at }: { entry: FeedEntry; at: number }) {
  const delta = entry.from === null || entry.to === null ? null : (entry.to - entry.from) / 1_000_000
  const newBand = entry.bandFrom !== null && entry.bandFrom !== entry.bandTo
  // One decimal where that shows the movement, else two: "70.3 to 70.3" says nothing.
  const digits = delta !== null && Math.abs(delta) < 0.1 ? 2 : 1
  return (
    <li class={newBand ? 'turn' : ''}>
      <a href={accountHref(entry.account_id)}>
        <span class="name">{accountName(entry.name, entry.account_id)}</span>
        <Change value={delta} digits={digits} />
        <span class="quiet path">
          {points(pointsOf(entry.from), digits)} <span aria-label="to">→</span> {points(pointsOf(entry.to), digits)}
          {newBand && entry.bandFrom !== null && (
            <span class="turned">
              <span class={`tag ${bandClass(entry.bandFrom)}`}>{BAND_NAME[entry.bandFrom]}</span>
              <span aria-label="to">→</span>
              <span class={`tag ${bandClass(entry.bandTo)}`}>{BAND_NAME[entry.bandTo]}</span>
            </span>
          )}
        </span>
        <span class="quiet age">{duration((at - entry.receivedAt) / 1000)}</span>
      </a>
    </li>
  )
}

/** Score changes as they arrive. */
export function LiveFeed() {
  const { entries, held, waiting } = feed.value
  const paused = held !== null
  return (
    <section class="card panel feed" data-testid="live-feed" aria-label="Live movement">
      <div class="panel-head">
        <h2>Live movement</h2>
        {paused && waiting > 0 && <span class="quiet">{waiting} waiting</span>}
        <span class="space" />
        <button type="button" class="button plain small" aria-pressed={paused} onClick={paused ? resume : pause}>
          {paused ? 'Resume' : 'Pause'}
        </button>
      </div>
      {entries.length === 0 ? (
        <State title={connection.value.phase === 'live' ? 'All quiet' : 'Not connected yet'}>
          <p>Score changes appear here the moment they happen.</p>
        </State>
      ) : (
        <ol class="entries" tabIndex={0} aria-label="Score changes, newest first">
          {entries.map((entry) => (
            <Entry key={entry.number} entry={entry} at={now.value} />
          ))}
        </ol>
      )}
    </section>
  )
}
