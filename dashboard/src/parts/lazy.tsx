/** Parts that come in a file of their own, so that the overview does not wait for the charts. */

import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'

type Loaded<P> = { default: ComponentType<P> }

/** `load` as a component; shows nothing until it is there. */
export function lazily<P extends object>(load: () => Promise<Loaded<P>>): ComponentType<P> {
  let found: ComponentType<P> | null = null
  return function Lazy(props: P) {
    const [Part, setPart] = useState<ComponentType<P> | null>(() => found)
    useEffect(() => {
      let wanted = true
      if (found === null) {
        void load().then((module) => {
          found = module.default
          if (wanted) setPart(() => found)
        })
      }
      return () => {
        wanted = false
      }
    }, [])
    return Part === null ? null : <Part {...props} />
  }
}
