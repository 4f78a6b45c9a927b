// For a program whose own middleware sees the answers of its model calls: what it saw goes to tallybot.
//
// `trackTokens` is middleware of Express (or anything with its shape); `track` is for everywhere else. Neither throws, and
// no answer waits for tallybot. A program that calls its models through tallybot's gateway needs none of this: its calls
// are counted there, and would be counted twice.
//
// Environment: TALLYBOT_URL (http://127.0.0.1:5000), TALLYBOT_ADMIN_TOKEN if tallybot has one.

/** One call, in the words of the tracker that this stands in for. */
export interface TokenUsage {
  requestId: string;
  timestamp: Date;
  model: string;
  inputTokens: number;
  outputTokens: number;
  feature?: string;
  userId?: string;
  sessionId?: string;
}

/** Records a call. A `requestId` that was sent before counts once. Says whether tallybot took it. */
export async function track(usage: TokenUsage): Promise<boolean> {
  const url = process.env.TALLYBOT_URL ?? "http://127.0.0.1:5000";
  const token = process.env.TALLYBOT_ADMIN_TOKEN;
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  try {
    const body = JSON.stringify({ source: "express", ...usage });
    const signal = AbortSignal.timeout(2000);
    return (await fetch(`${url}/v1/usage`, { method: "POST", headers, body, signal })).ok;
  } catch {
    return false; // tallybot is not there; the program goes on
  }
}

// What of Express is used here.
interface Asked {
  id?: string;
  body?: { model?: string };
  headers: Record<string, string | string[] | undefined>;
  user?: { id: string };
  session?: { id: string };
}
interface Answered {
  json(body: any): any;
}

/** Looks at the `usage` of the JSON that is answered. */
export function trackTokens(req: Asked, res: Answered, next: () => void): void {
  const json = res.json.bind(res);
  res.json = (body) => {
    if (body?.usage) {
      const feature = req.headers["x-feature"];
      void track({
        requestId: req.id ?? crypto.randomUUID(),
        timestamp: new Date(),
        model: req.body?.model ?? body.model ?? "unknown",
        inputTokens: body.usage.input_tokens ?? body.usage.prompt_tokens,
        outputTokens: body.usage.output_tokens ?? body.usage.completion_tokens,
        feature: Array.isArray(feature) ? feature[0] : feature,
        userId: req.user?.id,
        sessionId: req.session?.id,
      });
    }
    return json(body);
  };
  next();
}
