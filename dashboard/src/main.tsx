import './style/tokens.css'
import './style/base.css'
import './style/page.css'
import './style/atoms.css'
import './style/summary.css'
import './style/table.css'
import './style/feed.css'
import './style/narrow.css'
import './style/detail.css'
import { render } from 'preact'
import { App } from './app'

const page = document.getElementById('page')
if (page !== null) render(<App />, page)
