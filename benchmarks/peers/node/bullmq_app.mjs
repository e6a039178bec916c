// BullMQ itself: bullmq_app.mjs enqueue|work. Leaves the same marks as apps/mark.py.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Queue, Worker } from 'bullmq';

const { BENCH_URL, BENCH_JOBS, BENCH_BYTES, BENCH_FOLDER } = process.env;
const jobs = Number(BENCH_JOBS);
const { hostname: host, port } = new URL(BENCH_URL);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };

function leave(mark, began) {
  const path = join(BENCH_FOLDER, mark);
  writeFileSync(`${path}.half`, `${began / 1000} ${performance.now() / 1000}`);
  renameSync(`${path}.half`, path);
}

async function enqueue() {
  const queue = new Queue('bench', { connection });
  const data = { question: 'What is RAG?'.padEnd(Number(BENCH_BYTES)) };
  const opts = { removeOnComplete: { age: 3600 } };
  await queue.waitUntilReady();
  const began = performance.now();
  for (let start = 0; start < jobs; start += 500) {
    await queue.addBulk(Array.from({ length: Math.min(500, jobs - start) }, () => ({ name: 'answer', data, opts })));
  }
  leave('enqueued', began);
  await queue.close();
}

function work() {
  let calls = 0;
  let began = 0;
  const answer = async () => {
    calls += 1;
    if (calls === 1) began = performance.now();
    if (calls === jobs) leave('ran', began);
    return { answer: 'RAG is retrieval' };
  };
  const worker = new Worker('bench', answer, { connection, concurrency: 100 });
  process.on('SIGTERM', () => worker.close().then(() => process.exit(0)));
}

await { enqueue, work }[process.argv[2]]();
