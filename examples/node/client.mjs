// Asks the router for a model, with nothing but its .proto: `node client.mjs [HOST:PORT] [PROFILE] [PROMPT]`.
//
// ROUTER_TOKEN is sent where the router wants a token; ROUTER_CA names the authority's certificate where it has TLS.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const HERE = dirname(fileURLToPath(import.meta.url));
const [target = "127.0.0.1:50051", profile = "auto", prompt = "Rename a variable."] = process.argv.slice(2);
const { ROUTER_TOKEN, ROUTER_CA } = process.env;

const OPTIONS = {
  "grpc.service_config": JSON.stringify({
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: [
      {
        name: [{ service: "router.v1.RouterService", method: "SelectModel" }],
        retryPolicy: {
          maxAttempts: 3,
          initialBackoff: "0.01s",
          maxBackoff: "0.1s",
          backoffMultiplier: 2,
          retryableStatusCodes: ["UNAVAILABLE"],
        },
      },
    ],
  }),
  // A router that vanished without a word is noticed within 12 seconds, a new replica used within a few.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 2_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.dns_min_time_between_resolutions_ms": 2_000,
  // A proxy named in the environment is for the internet, not for the service next door.
  "grpc.enable_http_proxy": 0,
};

const definition = loader.loadSync(["protos/router/v1/router.proto", "examples/node/errors.proto"], {
  includeDirs: [join(HERE, "..", "..")],
  keepCase: true,
  enums: String,
  longs: Number,
  defaults: true,
  json: true, // shows a google.protobuf.Any as the message in it
});
const { RouterService } = grpc.loadPackageDefinition(definition).router.v1;
const credentials = ROUTER_CA ? grpc.credentials.createSsl(readFileSync(ROUTER_CA)) : grpc.credentials.createInsecure();
const client = new RouterService(target, credentials, OPTIONS);

const metadata = new grpc.Metadata();
if (ROUTER_TOKEN) metadata.set("authorization", `Bearer ${ROUTER_TOKEN}`);
const request = { profile, purpose: "PURPOSE_CODE", messages: [{ role: "user", text: prompt }] };

// A deadline goes with every call: without one, a call may wait for ever. The first also connects.
client.SelectModel(request, metadata, { deadline: Date.now() + 10_000 }, (error, decision) => {
  if (error) {
    refused(error);
  } else {
    console.log(`model: ${decision.model}`);
    console.log(`reason: ${decision.reason}`);
  }
  client.close();
});

function refused(error) {
  process.exitCode = 1;
  const [packed] = error.metadata.get("grpc-status-details-bin");
  if (!packed) {
    // It did not come from the router: there is none, or it did not answer in time.
    console.error(`failed: ${grpc.status[error.code]}: ${error.details}`);
    return;
  }
  const status = definition["google.rpc.Status"].deserialize(packed);
  for (const detail of status.details) {
    if (detail.reason) console.error(`refused: ${detail.reason}: ${status.message}`);
    for (const violation of detail.field_violations ?? []) console.error(`  ${violation.field}: ${violation.description}`);
    for (const violation of detail.violations ?? []) console.error(`  ${violation.subject}: ${violation.description}`);
  }
}
