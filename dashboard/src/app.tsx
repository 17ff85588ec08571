import { useEffect } from 'preact/hooks'
import { Accounts } from './parts/accounts'
import { Detail } from './parts/detail'
import { LiveFeed } from './parts/feed'
import { Header } from './parts/header'
import { SignIn } from './parts/sign-in'
import { SummaryStrip } from './parts/summary'
import { followAccounts } from './state/accounts'
import { startLive, stopLive } from './state/live'
import { oneTimeToken } from './state/paths'
import { route } from './state/route'
import { openSession, session } from './state/session'
import { followSummary } from './state/summary'

function Overview({ email }: { email: string }) {
  useEffect(() => {
    startLive()
    const stops = [followSummary(), followAccounts(), stopLive]
    return () => stops.forEach((stop) => stop())
  }, [])
  const { accountId } = route.value
  return (
    <>
      <Header email={email} />
      <main class="overview">
        <SummaryStrip />
        <div class="work">
          <Accounts />
          <LiveFeed />
        </div>
      </main>
      {accountId !== null && <Detail key={accountId} id={accountId} />}
    </>
  )
}

export function App() {
  useEffect(() => {
    void openSession()
    // A one-time link that is opened where the page is open already changes only the hash.
    const link = (): void => {
      if (oneTimeToken(window.location.hash) !== null) void openSession()
    }
    window.addEventListener('hashchange', link)
    return () => window.removeEventListener('hashchange', link)
  }, [])
  const current = session.value
  switch (current.phase) {
    case 'asking':
      return <main class="sign-in" aria-busy="true" aria-label="Signing in" />
    case 'signed_out':
      return <SignIn notice={current.notice} />
    case 'signed_in':
      return <Overview email={current.user.email} />
  }
}
