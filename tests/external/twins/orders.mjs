// The orders of a small shop, as a program for rk.external(["node", "orders.mjs"], state="json").
import { createInterface } from "node:readline";

const STATUS = {
  order_placed: "placed", payment_captured: "paid", payment_failed: "unpaid", picked: "picked", shipped: "shipped",
  delivered: "delivered", cancelled: "cancelled", refunded: "refunded",
};
const columns = { order: "VARCHAR", status: "VARCHAR", since: "TIMESTAMP", moves: "BIGINT" };
const hello = {
  protocol: 1, name: "orders", tables: { orders: { key: ["order"], columns } }, params: { patience_hours: 48 },
  handles: Object.keys(STATUS), ignores: ["note_added"], acts: ["remind"],
  rules: [{ name: "remind_unpaid", key: ["order"] }, { name: "chase_carrier", key: ["order"] }],
  invariants: [{ name: "paid for a day", key: ["order"] }],
  rollback: true, reads: true,
};
let orders = new Map(), patience = 48, undo = [];

const hours = (now, order) => (Date.parse(now) - Date.parse(order.since)) / 3_600_000;
const reads = (order, ...names) => [["orders", [order.order], names]];

function put(row) {
  const before = orders.get(row.order);
  undo.push([row.order, before]);
  orders.set(row.order, { ...before, ...row });
  return { op: "upsert", table: "orders", row };
}

function act(order, rule, kind) {
  return { rule, kind, fields: { order: order.order }, reads: reads(order, "status", "since") };
}

const answers = {
  hello: () => hello,
  load({ tables, params }) {
    orders = new Map(tables.orders.map((row) => [row.order, row]));
    patience = params.patience_hours;
  },
  apply({ event, now }) {
    const order = event.columns.order;
    if (!order) throw new Error(`${event.kind} without an order`);
    const moves = Number(orders.get(order)?.moves ?? 0) + 1;
    return { changes: [put({ order, status: STATUS[event.kind], since: now, moves })] };
  },
  act({ action, now }) {
    if (!orders.has(action.fields.order)) throw new Error(`there is no order ${action.fields.order}`);
    return { changes: [put({ order: action.fields.order, status: "reminded", since: now })] };
  },
  reconcile({ now }) {
    const all = [...orders.values()];
    const unpaid = all.filter((one) => one.status === "unpaid");
    const late = all.filter((one) => one.status === "shipped" && hours(now, one) > patience);
    return {
      actions: [
        ...unpaid.map((one) => act(one, "remind_unpaid", "remind")),
        ...late.map((one) => act(one, "chase_carrier", "chase")),
      ],
    };
  },
  check({ now }) {
    const found = [...orders.values()].filter((one) => one.status === "paid" && hours(now, one) > 24);
    return {
      violations: found.map((one) => ({
        invariant: "paid for a day", fields: { order: one.order, since: one.since }, reads: reads(one, "status", "since"),
      })),
    };
  },
  rollback() {
    for (const [key, before] of undo.reverse()) before ? orders.set(key, before) : orders.delete(key);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.type === "bye") break;
  let reply;
  try {
    if (request.type !== "rollback") undo = [];
    if (!Object.hasOwn(answers, request.type)) throw new Error(`unknown request ${request.type}`);
    reply = answers[request.type](request);
  } catch (error) {
    reply = { error: String(error) };
  }
  process.stdout.write(JSON.stringify({ id: request.id, ...reply }) + "\n");
}
