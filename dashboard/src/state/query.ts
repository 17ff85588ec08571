/** One question to the API whose answer is kept: loading, answer, error; asked again when something moved. */

import { signal, type ReadonlySignal } from '@preact/signals'
import { ApiError } from '../api/client'

export interface Answer<T> {
  value: T | null
  error: string | null
  loading: boolean
  /** The API knows no such thing. */
  missing: boolean
}

const BLANK = { value: null, error: null, loading: true, missing: false }

/**
 * Asks with `ask`. At most one question is under way; an older value stays visible while a newer is on its way, and also
 * when that one fails.
 */
export class Query<T> {
  readonly #answer = signal<Answer<T>>(BLANK)
  #controller: AbortController | null = null
  #timer: number | undefined
  #askedAt = 0

  constructor(
    private readonly ask: (signal: AbortSignal) => Promise<T>,
    private readonly onAnswer: (value: T) => void = () => undefined,
  ) {}

  get answer(): ReadonlySignal<Answer<T>> {
    return this.#answer
  }

  /** Asks now. A question that is under way is given up. */
  async load(): Promise<void> {
    window.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#controller?.abort()
    const controller = new AbortController()
    this.#controller = controller
    this.#askedAt = Date.now()
    this.#answer.value = { ...this.#answer.peek(), loading: true }
    try {
      const value = await this.ask(controller.signal)
      if (controller.signal.aborted) return
      this.#answer.value = { value, error: null, loading: false, missing: false }
      this.onAnswer(value)
    } catch (error) {
      if (controller.signal.aborted) return
      const missing = error instanceof ApiError && (error.status === 404 || error.status === 422)
      this.#answer.value = { ...this.#answer.peek(), error: (error as Error).message, loading: false, missing }
    }
  }

  /** Asks again, at most once in `milliseconds` however often it is called. */
  loadSoon(milliseconds: number): void {
    if (this.#timer !== undefined || document.hidden) return
    const wait = Math.max(0, this.#askedAt + milliseconds - Date.now())
    this.#timer = window.setTimeout(() => void this.load(), wait)
  }

  /** Forgets everything, for another user or another account. */
  reset(): void {
    window.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#controller?.abort()
    this.#answer.value = BLANK
  }
}
