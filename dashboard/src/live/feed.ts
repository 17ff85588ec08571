/** The feed of changes: newest first, bounded, and it can be held still while someone reads. Pure. */

import type { Change } from './scores'

export const LONGEST_FEED = 120

export interface FeedEntry extends Change {
  /** Counts up for ever: the key of the entry on the page. */
  number: number
  /** Wall clock of this machine, milliseconds. */
  receivedAt: number
}

export interface Feed {
  entries: readonly FeedEntry[]
  /** Arrived since the pause; null while the feed runs. */
  held: readonly FeedEntry[] | null
  /** How many arrived since the pause, also those that no longer fit. */
  waiting: number
  next: number
}

export const EMPTY_FEED: Feed = { entries: [], held: null, waiting: 0, next: 0 }

export function addChanges(feed: Feed, changes: readonly Change[], receivedAt: number): Feed {
  if (changes.length === 0) return feed
  const added = changes
    .map((change, index) => ({ ...change, number: feed.next + index, receivedAt }))
    .slice(-LONGEST_FEED)
    .reverse()
  const next = feed.next + changes.length
  if (feed.held === null) return { ...feed, next, entries: [...added, ...feed.entries].slice(0, LONGEST_FEED) }
  return {
    ...feed,
    next,
    held: [...added, ...feed.held].slice(0, LONGEST_FEED),
    waiting: feed.waiting + changes.length,
  }
}

export const pauseFeed = (feed: Feed): Feed => (feed.held === null ? { ...feed, held: [], waiting: 0 } : feed)

export function resumeFeed(feed: Feed): Feed {
  if (feed.held === null) return feed
  return { ...feed, entries: [...feed.held, ...feed.entries].slice(0, LONGEST_FEED), held: null, waiting: 0 }
}
