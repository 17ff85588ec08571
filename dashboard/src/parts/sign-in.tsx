import { useSignal } from '@preact/signals'
import { signIn } from '../state/session'

/** The form for those without a one-time link. */
export function SignIn({ notice }: { notice: string | null }) {
  const error = useSignal(notice)
  const busy = useSignal(false)

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    busy.value = true
    error.value = null
    try {
      await signIn(String(fields.get('email')).trim(), String(fields.get('password')))
    } catch (failure) {
      error.value = (failure as Error).message
    } finally {
      busy.value = false
    }
  }

  return (
    <main class="sign-in">
      <form class="card" data-testid="login-form" onSubmit={(event) => void submit(event)} aria-labelledby="sign-in-title">
        <h1 id="sign-in-title">
          <img src="/vitals.svg" alt="" />
          Sign in to Vitals
        </h1>
        {error.value !== null && (
          <p class="notice" role="alert">
            {error.value}
          </p>
        )}
        <label>
          E-mail
          <input class="field" type="email" name="email" autocomplete="username" required autofocus />
        </label>
        <label>
          Password
          <input class="field" type="password" name="password" autocomplete="current-password" required />
        </label>
        <button class="button main" type="submit" disabled={busy.value}>
          {busy.value ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </main>
  )
}
