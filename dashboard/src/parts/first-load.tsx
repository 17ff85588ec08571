/** What the page says while there are no accounts: the first load runs, and this is how far it is. */

import { useEffect } from 'preact/hooks'
import { count } from '../format/numbers'
import { reload } from '../state/accounts'
import { pipelineLines } from '../state/pipeline'
import { pipeline, summary } from '../state/summary'
import { State } from './atoms'

const EVERY_MS = 2_000

export function FirstLoad() {
  useEffect(() => {
    void pipeline.load()
    const asking = window.setInterval(() => {
      pipeline.loadSoon(EVERY_MS)
      summary.loadSoon(EVERY_MS)
      if ((summary.answer.peek().value?.accounts ?? 0) > 0) void reload()
    }, EVERY_MS)
    return () => window.clearInterval(asking)
  }, [])
  const { value, error } = pipeline.answer.value
  return (
    <State title="No accounts yet">
      <p>The first load is still running. Accounts appear here as soon as the first of them is read; nothing needs to be done.</p>
      {value !== null && (
        <table class="counts" data-testid="pipeline-counts">
          <caption class="only-read">The pipeline so far</caption>
          <tbody>
            {pipelineLines(value).map(({ name, total }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="number">{count(total)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {error !== null && <p>The pipeline's own counts are not available: {error}</p>}
    </State>
  )
}
