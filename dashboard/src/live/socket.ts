/** Carries out what the state machine of `connection.ts` decides, on a real WebSocket. */

import { step, STOPPED, type Connection, type ConnectionEvent, type Effect } from './connection'
import { parseMessage, type ServerMessage } from './messages'

export interface LiveListener {
  message(message: ServerMessage): void
  state(connection: Connection): void
}

/** One subscription to `/v1/live` that comes back by itself until `stop`. */
export class LiveSocket {
  #state: Connection = STOPPED
  #socket: WebSocket | null = null
  #heartbeat: number | undefined
  #retry: number | undefined

  constructor(
    readonly url: string,
    readonly listener: LiveListener,
  ) {}

  start(): void {
    this.#on({ type: 'start' })
  }

  stop(): void {
    this.#on({ type: 'stop' })
  }

  /** Tries again at once where it waits, for example because the machine woke up or the network came back. */
  hurry(): void {
    this.#on({ type: 'retry' })
  }

  #on(event: ConnectionEvent): void {
    const [next, effects] = step(this.#state, event)
    const changed = next !== this.#state
    this.#state = next
    if (changed) this.listener.state(next)
    for (const effect of effects) this.#do(effect)
  }

  #do(effect: Effect): void {
    switch (effect.type) {
      case 'open':
        return this.#open()
      case 'send':
        return this.#socket?.send(JSON.stringify(effect.message))
      case 'close':
        return this.#close()
      case 'await_heartbeat':
        window.clearTimeout(this.#heartbeat)
        this.#heartbeat = window.setTimeout(() => this.#on({ type: 'heartbeat_timeout' }), effect.milliseconds)
        return
      case 'await_retry':
        this.#retry = window.setTimeout(() => this.#on({ type: 'retry' }), effect.milliseconds)
        return
      case 'forget_timers':
        window.clearTimeout(this.#heartbeat)
        window.clearTimeout(this.#retry)
    }
  }

  #open(): void {
    const socket = new WebSocket(this.url)
    this.#socket = socket
    // Events of a socket that was given up are not events of this connection.
    const current = (): boolean => this.#socket === socket
    socket.onopen = () => current() && this.#on({ type: 'opened' })
    socket.onmessage = (event: MessageEvent<unknown>) => {
      const message = current() ? parseMessage(event.data) : null
      if (message === null) return
      // Applied before its resume token counts: a token never claims what the page has not taken in.
      this.listener.message(message)
      this.#on({ type: 'message', message })
    }
    socket.onclose = (event) => {
      if (!current()) return
      this.#socket = null
      this.#on({ type: 'closed', code: event.code, random: Math.random() })
    }
  }

  /** Ends the socket and reports it closed at once: a browser may take minutes to notice that the other end is gone. */
  #close(): void {
    const socket = this.#socket
    if (socket === null) return
    this.#socket = null
    socket.close()
    this.#on({ type: 'closed', code: 1000, random: Math.random() })
  }
}
