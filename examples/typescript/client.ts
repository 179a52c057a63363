// Asks the router for a model, with stubs generated from its .proto. From the repository's root: `make stubs`, then in this folder
// `npx tsc && node dist/client.js [HOST:PORT] [PROFILE] [PROMPT]`.
//
// ROUTER_TOKEN is sent where the router wants a token; ROUTER_CA names the authority's certificate where it has TLS.
import { readFileSync } from "node:fs";

import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { BadRequestSchema, ErrorInfoSchema, PreconditionFailureSchema } from "./gen/errors_pb.js";
import { Purpose, RouterService } from "./gen/router/v1/router_pb.js";

const [target = "127.0.0.1:50051", profile = "auto", prompt = "Rename a variable."] = process.argv.slice(2);
const { ROUTER_TOKEN, ROUTER_CA } = process.env;

const authenticate: Interceptor = (next) => (request) => {
  if (ROUTER_TOKEN) request.header.set("authorization", `Bearer ${ROUTER_TOKEN}`);
  return next(request);
};
const transport = createGrpcTransport({
  baseUrl: `${ROUTER_CA ? "https" : "http"}://${target}`,
  interceptors: [authenticate],
  // A deadline goes with every call: without one, a call may wait for ever.
  defaultTimeoutMs: 2_000,
  // A router that vanished without a word is noticed within 12 seconds.
  pingIntervalMs: 10_000,
  pingTimeoutMs: 2_000,
  ...(ROUTER_CA ? { nodeOptions: { ca: readFileSync(ROUTER_CA) } } : {}),
});
const router = createClient(RouterService, transport);

try {
  const decision = await router.selectModel({
    // What to choose from: exactly one of profile, candidates and model.
    choice: { case: "profile", value: profile },
    purpose: Purpose.CODE,
    messages: [{ role: "user", text: prompt }],
  });
  console.log(`model: ${decision.model}`);
  console.log(`reason: ${decision.reason}`);
} catch (error) {
  refused(ConnectError.from(error));
}
// It would keep its connection for the next call, and the program with it.
process.exit();

function refused(error: ConnectError): void {
  process.exitCode = 1;
  const [info] = error.findDetails(ErrorInfoSchema);
  if (!info) {
    // It did not come from the router: there is none, or it did not answer in time.
    console.error(`failed: ${Code[error.code]?.toUpperCase()}: ${error.rawMessage}`);
    return;
  }
  console.error(`refused: ${info.reason}: ${error.rawMessage}`);
  for (const bad of error.findDetails(BadRequestSchema))
    for (const violation of bad.fieldViolations) console.error(`  ${violation.field}: ${violation.description}`);
  for (const failure of error.findDetails(PreconditionFailureSchema))
    for (const violation of failure.violations) console.error(`  ${violation.subject}: ${violation.description}`);
}
