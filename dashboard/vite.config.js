import { defineConfig } from 'vite'

// Where `npm run dev` sends API calls: the API itself, or `npm run dev:fixtures`.
const api = process.env.VITALS_API_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false }, // every browser of the target preloads by itself, and the page stays free of inline scripts
    reportCompressedSize: true,
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/v1': { target: api, ws: true } },
  },
  test: { include: ['test/**/*.test.ts'] },
})
