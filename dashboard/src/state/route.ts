/** The current route. Routes live in the hash, so that one file serves every page. */

import { signal } from '@preact/signals'
import { routeOf, type Route } from './paths'

export const route = signal<Route>(routeOf(window.location.hash))

window.addEventListener('hashchange', () => {
  route.value = routeOf(window.location.hash)
})

/** Back to the overview, as a new entry of the history so that Back opens the account again. */
export function closeAccount(): void {
  window.location.hash = '#/'
}
