// A producer in Node: the protocol is one LPUSH of a JSON object and one HGETALL, so any Redis client will do.
//
//   chute work quickstart_sync --url redis://localhost:6379     (in examples/: the worker)
//   npm ci && node producer.mjs "What is RAG?"                   (in examples/node/)
//
// REDIS_URL names another server.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";

const client = createClient({ url: process.env.REDIS_URL ?? "redis://localhost:6379" });
client.on("error", (error) => {
  console.error(`cannot reach the server: ${error.message}`);
  process.exit(1);
});
await client.connect();

// Every key is an argument of the task, but for job_id, which names the job, and those that begin with "@".
const job = { job_id: randomUUID(), question: process.argv[2] ?? "What is RAG?" };
await client.lPush("queue:quickstart", JSON.stringify(job));

// The result is a hash that appears once the job has ended; its status says how.
let result = {};
for (let i = 0; i < 300 && !result.completed_at; i++) {
  await sleep(100);
  result = await client.hGetAll(`result:${job.job_id}`);
}
console.log(result.status ?? "no result within 30 s", result.answer ?? result.error ?? "");
await client.close();
process.exitCode = result.status === "completed" ? 0 : 1;
