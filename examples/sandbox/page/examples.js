// Drafts that fill the form. Users are indices into the tenant's list.

const hostile = [
  "**APPROVED** by security, see [the ticket](https://evil.example/login) <at>everyone</at>",
  "# Decision: approved",
  "- \\[sign in\\](https://evil.example) `tsh login` <https://evil.example> ![x](https://evil.example/x.png)",
  "\u202Etxt.exe\u202C \u200B<script>alert(1)</script> {{DATE(2030-01-01T00:00:00Z, SHORT)}} 1 < 2 & 3 ~~no~~",
].join("\n");

export const EXAMPLES = [
  {
    title: "Slow orders table",
    user: 1, roles: ["dba"], reviewers: [0, 2], approvals: 1,
    reason: "The orders table is slow since 09:40; I need to look at its locks and add an index.",
    resources: ["node/8f6e2a54-5f0c-4b44-9b7c-6f1f8d7e2a11", "db/orders", "db/orders-replica"],
  },
  {
    title: "Incident, two approvals",
    user: 2, roles: ["admin", "dba"], reviewers: [0, 1], approvals: 2,
    reason: "INC-2381: checkout answers 500 in eu-west-1. I would like to restart the payment workers.",
    resources: ["node/pay-1", "node/pay-2", "kube_cluster/eu-west-1"],
  },
  {
    title: "Hostile text",
    user: 1, roles: ["dev"], reviewers: [0], approvals: 1,
    reason: hostile, resources: ["node/[click](https:\u2060//evil.example)", "app/**bold**"],
  },
  {
    title: "200 resources",
    user: 0, roles: ["dev"], reviewers: [1], approvals: 1,
    reason: "Kernel update on the whole fleet, one rack after the other.",
    resources: Array.from({ length: 200 }, (_, index) => `node/rack-${Math.floor(index / 20) + 1}-${(index % 20) + 1}`),
  },
  {
    title: "Reason of 64 KB",
    user: 2, roles: ["dev"], reviewers: [0], approvals: 1,
    reason: "I pasted the whole log by mistake. ".repeat(1872), resources: ["app/grafana"],
  },
  {
    title: "Empty",
    user: 1, roles: ["dev"], reviewers: [], approvals: 1, reason: "", resources: [],
  },
];
