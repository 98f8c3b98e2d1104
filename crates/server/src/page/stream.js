// An answer as it comes: server-sent events of `/v1/chat/completions`.

import { Refused } from "./server.js";

/**
 * @typedef {{ name: string, weight: number, prompt_tokens: number, bits_per_byte: number | null,
 *   expected_loss?: number, takes_part: boolean }} MemberTold
 * @typedef {{ text: string, member: string | null }} Word
 * @typedef {{ members?: MemberTold[], fusion?: { weights: string, mix: string, reason: string },
 *   attribution?: Word[], finish_reason?: string, seed?: number, mean_weights?: number[] }} Told
 * @typedef {{ thought?: string, text?: string, told?: Told, timings?: any, usage?: any }} Piece
 */

/**
 * The pieces of an answer, as many at once as have come.
 * @param {import("./server.js").Server} server
 * @param {any} request
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Piece[]>}
 */
export async function* answer(server, request, signal) {
  const body = { ...request, stream: true, stream_options: { include_usage: true } };
  const response = await server.ask("/v1/chat/completions", { body, signal });
  if (!response.body) throw server.lost();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw signal.aborted ? error : server.lost();
    });
    // A stream says that it is whole.
    if (done) throw server.lost();
    const frames = (rest + value).split("\n\n");
    rest = frames.pop() ?? "";
    const pieces = [];
    for (const frame of frames) {
      if (!frame.startsWith("data: ")) continue;
      const data = frame.slice(6);
      if (data === "[DONE]") {
        yield pieces;
        return;
      }
      pieces.push(piece(JSON.parse(data)));
    }
    yield pieces;
  }
}

/**
 * @param {any} chunk
 * @returns {Piece}
 */
function piece(chunk) {
  if (chunk.error) throw new Refused(500, chunk.error);
  const delta = chunk.choices[0]?.delta ?? {};
  return {
    thought: delta.reasoning_content ?? "",
    text: delta.content ?? "",
    told: chunk.packllm,
    timings: chunk.timings,
    usage: chunk.usage,
  };
}
