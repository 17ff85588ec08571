// A stand-in for `vitals api`, for work on the page only: `npm run dev:fixtures`. docs/dashboard.md says how to use it.
// It follows docs/design/0001-first-cut-contracts.md, keeps everything in memory, and lets anyone in.
//   PORT=8089  ACCOUNTS=5000 (0 shows the first load)  DROP=seconds (ends every websocket that often)  STALL=1 (no news)

import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { WebSocketServer } from 'ws'
import { World } from './fixture-world.mjs'

const port = Number(process.env.PORT ?? 8089)
const world = new World(Number(process.env.ACCOUNTS ?? 5000))
const dist = join(import.meta.dirname, '..', 'dist')
const user = { user_id: '00000000-0000-4000-8000-000000000001', email: 'ada@example.com', role: 'admin' }
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }

const signedIn = (request) => /vitals_session=fixture/.test(request.headers.cookie ?? '')

function send(response, status, body, headers = {}) {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  response.writeHead(status, { 'content-type': type, ...headers })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}

const problem = (response, status, detail) => send(response, status, { title: 'Problem', status, detail })

const session = (response) =>
  send(response, 200, { access_token: 'fixture', expires_in: 900, user }, {
    'set-cookie': 'vitals_session=fixture; Path=/; HttpOnly; SameSite=Strict',
  })

async function bodyOf(request) {
  let text = ''
  for await (const chunk of request) text += chunk
  return text === '' ? {} : JSON.parse(text)
}

function file(response, path) {
  const wanted = join(dist, normalize(path === '/' ? '/index.html' : path))
  if (!wanted.startsWith(dist) || !existsSync(wanted)) return problem(response, 404, 'No such page. Run npm run build first.')
  response.writeHead(200, {
    'content-type': TYPES[extname(wanted)] ?? 'application/octet-stream',
    // That of the API, so that what it would block is found here.
    'content-security-policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'",
  })
  createReadStream(wanted).pipe(response)
}

async function answer(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://fixture')
  if (!pathname.startsWith('/v1/')) return file(response, pathname)
  if (pathname === '/v1/auth/login') {
    const { password } = await bodyOf(request)
    return password === 'wrong' ? problem(response, 401, 'E-mail or password is not right.') : session(response)
  }
  if (pathname === '/v1/auth/one-time') {
    const { token } = await bodyOf(request)
    return token === 'used' ? problem(response, 401, 'This link was used before or has expired.') : session(response)
  }
  if (pathname === '/v1/auth/logout') {
    return send(response, 204, undefined, { 'set-cookie': 'vitals_session=; Path=/; Max-Age=0' })
  }
  if (!signedIn(request)) return problem(response, 401, 'Sign in first.')
  if (pathname === '/v1/auth/me') return send(response, 200, user)
  if (pathname === '/v1/summary') return send(response, 200, world.summary())
  if (pathname === '/v1/pipeline') return send(response, 200, world.pipeline())
  if (pathname === '/v1/accounts') return send(response, 200, world.list(Object.fromEntries(searchParams)))
  const [, id, part] = /^\/v1\/accounts\/([^/]+)(?:\/(health|metrics))?$/.exec(pathname) ?? []
  const account = world.byId.get(id)
  if (account === undefined) return problem(response, 404, `There is no account ${id}.`)
  if (part === 'health') return send(response, 200, world.health(account, searchParams.get('from')))
  if (part === 'metrics') return send(response, 200, world.metric(account, searchParams.get('metric'), searchParams.get('from')))
  return send(response, 200, world.detail(account))
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => problem(response, 500, String(error)))
})
const sockets = new WebSocketServer({ server, path: '/v1/live' })

sockets.on('connection', (socket, request) => {
  if (!signedIn(request)) return socket.close(4401, 'not signed in')
  let sequence = 0
  socket.on('message', (frame) => {
    const message = JSON.parse(String(frame))
    if (message.type !== 'subscribe') return
    // The token of this stand-in is the position; it always knows what was missed.
    const missed = message.resume === undefined ? null : world.accounts.filter((account) => account.position > Number(message.resume))
    const resume = String(world.position)
    const items = (missed ?? world.accounts).map((account) => world.live(account, missed === null))
    if (missed === null) socket.send(JSON.stringify({ type: 'snapshot', items, resume, receipt: world.receipt() }))
    else socket.send(JSON.stringify({ type: 'delta', sequence: (sequence += 1), items, resume, receipt: world.receipt() }))
    socket.subscribed = true
  })
  socket.delta = (items) => socket.send(JSON.stringify({ type: 'delta', sequence: (sequence += 1), items, resume: String(world.position), receipt: world.receipt() }))
  const heartbeat = setInterval(() => socket.send(JSON.stringify({ type: 'heartbeat', sequence, receipt: world.receipt() })), 10_000)
  socket.on('close', () => clearInterval(heartbeat))
})

if (!process.env.STALL) {
  setInterval(() => {
    const items = world.flush().map((account) => world.live(account, false))
    if (items.length > 0) for (const socket of sockets.clients) if (socket.subscribed) socket.delta(items)
  }, 900)
}
if (process.env.DROP) {
  setInterval(() => {
    for (const socket of sockets.clients) socket.terminate()
  }, Number(process.env.DROP) * 1000)
}

server.listen(port, '127.0.0.1', () => {
  console.log(`Fixtures on http://127.0.0.1:${port}/#one-time=any (serves dashboard/dist; any password but "wrong" signs in)`)
})
