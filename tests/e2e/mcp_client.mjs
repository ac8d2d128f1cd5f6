// The official client for Node against a server: over stdio (--, then its command) or HTTP (a URL).
// Prints one JSON document of what it met; tests/e2e/test_mcp_clients.py says what that has to be.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [first, command, ...args] = process.argv.slice(2);
const transport = first === "--"
  ? new StdioClientTransport({ command, args, env: process.env, stderr: "pipe" })
  : new StreamableHTTPClientTransport(new URL(first));
let stderr = "";
transport.stderr?.on("data", (part) => { stderr += part; });
const errors = [];
const client = new Client({ name: "test", version: "1" });
client.onerror = (error) => errors.push(String(error));
await client.connect(transport);

const code = async (ask) => { try { await ask(); return 0; } catch (error) { return error.code; } };
const { tools } = await client.listTools();
const found = await client.callTool(
  { name: "search_traffic", arguments: { limit: 1, format: "json" } });
const id = found.structuredContent.transactions[0].id;
const results = {};
for (const { name, inputSchema } of tools) {
  const known = { id, question: "get_hosts" };
  const needed = Object.fromEntries((inputSchema.required ?? []).map((one) => [one, known[one]]));
  const result = await client.callTool({ name, arguments: needed });
  results[name] = { failed: result.isError ?? false, text: result.content[0].text };
}
const { resources } = await client.listResources();
for (const { uri } of resources) await client.readResource({ uri });
const { prompts } = await client.listPrompts();
console.log(JSON.stringify({
  results, errors, stderr,
  instructions: client.getInstructions(),
  resources: resources.length,
  prompts: prompts.length,
  changes: (await client.callTool(
    { name: "what_changed", arguments: { format: "json" } })).structuredContent,
  unknown_tool: await code(() => client.callTool({ name: "get_nothing", arguments: {} })),
  unknown_prompt: await code(() => client.getPrompt({ name: "nothing" })),
}));
await client.close();
