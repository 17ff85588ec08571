/** What a location hash means: `#/` is the overview, `#/accounts/ID` one account. Pure. */

export interface Route {
  accountId: string | null
}

/** The route of a location hash. Whatever is unknown is the overview. */
export function routeOf(hash: string): Route {
  const match = /^#\/accounts\/([^/?]+)$/.exec(hash)
  return { accountId: match?.[1] === undefined ? null : decodeURIComponent(match[1]) }
}

/** The token of a one-time link `/#one-time=TOKEN`, or null. */
export function oneTimeToken(hash: string): string | null {
  const match = /^#one-time=(.+)$/.exec(hash)
  return match?.[1] === undefined ? null : decodeURIComponent(match[1])
}

export const accountHref = (id: string): string => `#/accounts/${encodeURIComponent(id)}`
