import { dayAndTime, duration } from '../format/times'
import type { Indicator } from '../state/freshness'
import { freshnessSeconds, receipt, standstill, status } from '../state/live'
import { signOut } from '../state/session'

const WORDS: Record<Indicator, string> = {
  live: 'Live',
  connecting: 'Connecting',
  reconnecting: 'Reconnecting',
  degraded: 'Delayed',
}

const MEANING: Record<Indicator, string> = {
  live: 'Connected. The newest figure includes an event received this long ago.',
  connecting: 'Opening the live connection.',
  reconnecting: 'The live connection dropped. Figures stay as they were; missed changes arrive once it is back.',
  degraded: 'Connected, but nothing new has come from the sources for this long.',
}

function LiveIndicator() {
  const seconds = freshnessSeconds.value
  return (
    <span class={`indicator ${status.value}`} data-testid="live-indicator" data-state={status.value} title={standstill.value ?? MEANING[status.value]}>
      <i aria-hidden="true" />
      {/* Only the word is announced: the seconds change too often to be read out. */}
      <span role="status">{WORDS[status.value]}</span>
      {seconds !== null && <span>{duration(seconds)} behind</span>}
    </span>
  )
}

export const Header = ({ email }: { email: string }) => (
  <header class="header">
    <a class="brand" href="#/" aria-label="Vitals, overview">
      <img src="/vitals.svg" alt="" />
      Vitals
    </a>
    <LiveIndicator />
    <span class="watermark" data-testid="watermark" title="Source time up to which every figure on this page is complete">
      as of <b>{dayAndTime(receipt.value?.watermark)}</b>
    </span>
    <span class="space" />
    <span class="quiet who">{email}</span>
    <button type="button" class="button plain small" onClick={() => void signOut()}>
      Sign out
    </button>
  </header>
)
