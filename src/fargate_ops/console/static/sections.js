// Each section of the page, from its part of the state document.

import { age, command, duration, h, mark, moment, state, table } from "./dom.js";

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const short = (digest) => digest.replace(/^(sha256:.{12}).+$/, "$1…");
const facts = (pairs) => h("dl", {}, pairs.filter((pair) => pair).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
const title = (release) => release.name ?? release.revision;

const OUTCOMES = {
  in_progress: ["starting", "in progress"], prepared: ["starting", "in progress"], baking: ["starting", "baking"], unverified: ["unknown", "not verified"],
  succeeded: ["good", "succeeded"], failed: ["bad", "failed"], stopped: ["bad", "stopped"],
  rolling_back: ["back", "being rolled back"], rolled_back: ["back", "rolled back"],
};
export const outcome = (name) => OUTCOMES[name] ?? ["unknown", name];

export function serving(value, { rollout, ledger: history }) {
  const before = rollout?.in_progress ? rollout.deployments.filter(({ which, running }) => which === "old" && running) : [];
  const rolling = rollout?.in_progress;
  const healthy = value.healthy ?? null;
  return [
    h("p", { class: "version" }, before.length
      ? [before.map(title).join(", "), h("span", { class: "arrow" }, " → "), title(value)]
      : title(value)),
    h("p", { class: "since" },
      rolling ? during(value, before)
      : value.since ? ["serves since ", moment(value.since), " UTC, for ", age(value.since), "; ", value.kind, " by ", value.by, value.why && `: ${value.why}`]
      : !history ? "The ledger is not read yet."
      : value.name ? ["not yet recorded; ", value.kind, " by ", value.by]
      : "The ledger does not know this revision: no release put it there."),
    h("p", { class: "tasks" }, healthy === null ? state("unknown", "the targets' health is not read yet")
      : state(healthy === 0 ? "bad" : healthy < value.desired ? "warning" : "good", `${healthy} healthy of ${plural(value.desired, "task")}`)),
    // What they say of a rollout, the next section says.
    !rolling && value.warnings.length > 0 && h("ul", { class: "warnings" }, value.warnings.map((text) => h("li", {}, state("warning", text)))),
    facts([
      ["revision", value.revision],
      value.digest && ["image", h("span", { title: value.digest }, short(value.digest))],
      value.outcome && !rolling && value.outcome !== "succeeded" && ["outcome", state(...outcome(value.outcome))],
      history && ["rollback goes to", value.rollback_to ?? (history.more ? "reading …" : "nothing: no earlier success")],
      ["running tasks", `${value.running} of ${value.desired}`],
    ]),
  ];
}

/** PRIMARY succeeded before: this rollout puts it back, by ECS's circuit breaker or by the release that failed. */
const isPutBack = ({ outcome: recorded, kind }) => kind === "rollback" || recorded === "succeeded";

function during(value, before) {
  if (isPutBack(value)) return ["is being put back", value.kind === "rollback" && [" by ", value.by], before.length > 0 && "; the version on the left is leaving"];
  return ["is being released by ", value.by ?? "an unknown person", before.length > 0 && "; the version on the left still serves"];
}

/** The state of a task in a word, by its own status and its target's. */
export function taskState({ status, target }) {
  if (["PROVISIONING", "PENDING", "ACTIVATING"].includes(status)) return ["waiting", "starting"];
  if (target === "draining") return ["leaving", "draining"];
  if (["DEACTIVATING", "STOPPING", "DEPROVISIONING"].includes(status)) return ["leaving", "stopping"];
  if (status === "STOPPED") return ["bad", "stopped"];
  if (target === "healthy") return ["good", "healthy"];
  if (target === "unhealthy") return ["bad", "unhealthy"];
  return ["starting", target === "initial" ? "being checked" : "running, no target yet"];
}

const SERVICE_DEPLOYMENT = {
  PENDING: ["waiting", "waiting to start"], IN_PROGRESS: ["starting", "in progress"], SUCCESSFUL: ["good", "successful"],
  STOP_REQUESTED: ["back", "being stopped"], STOPPED: ["bad", "stopped"], ROLLBACK_REQUESTED: ["back", "rollback requested"],
  ROLLBACK_IN_PROGRESS: ["back", "ECS is rolling back"], ROLLBACK_SUCCESSFUL: ["back", "failed and rolled back"],
  ROLLBACK_FAILED: ["bad", "failed, and so did its rollback"],
};
const deploymentState = ({ status }) => SERVICE_DEPLOYMENT[status] ?? ["unknown", status];

export function rollout(value) {
  const [primary] = value.deployments;
  const known = value.service_deployment;
  // It is read later than the deployments: during a rollout it may still be the previous one.
  const last = value.in_progress && known?.finished ? null : known;
  const sides = value.deployments.map((deployment) => side(deployment, value));
  const lead = value.in_progress
    ? [state(...(last ? deploymentState(last) : ["starting", "in progress"])), " ", primary && ["since ", age(primary.created)]]
    : value.state === "FAILED" ? [state("bad", "failed")]
    : last ? ["No rollout. The last one: ", state(...deploymentState(last)), last.finished && [", ended ", moment(last.finished), " UTC after ", duration((Date.parse(last.finished) - Date.parse(last.created)) / 1000)]]
    : "No rollout.";
  const reason = last?.reason || (value.in_progress || value.state === "FAILED" ? value.reason : "");
  return [
    h("p", { class: "lead" }, lead),
    reason && h("p", { class: "reason" }, reason),
    value.in_progress && h("p", { class: "progress" }, value.progress),
    h("div", { class: "sides" }, sides),
    value.events.length > 0 && h("details", { open: value.in_progress },
      h("summary", {}, "Events of the service"),
      h("ol", { class: "events" }, grouped(value.events).map(({ at, text, count }) => h("li", {}, moment(at), " ", text, count > 1 && ` (${count} times)`)))),
  ];
}

/** The events without what each of them repeats; equal ones in a row are one. */
function grouped(events) {
  const groups = [];
  for (const { at, text } of events) {
    const brief = text.replace(/^\(service \S+\) /, "").replace(/\(target-group arn:\S+?targetgroup\/([^/)]+)[^)]*\)/g, "target group $1");
    const last = groups.at(-1);
    if (last?.text === brief) last.count += 1;
    else groups.push({ at, text: brief, count: 1 });
  }
  return groups;
}

function side(deployment, { tasks, in_progress: rolling, deployments }) {
  const hasFailed = deployments.some(({ state: word }) => word === "FAILED");
  const own = tasks?.filter(({ revision, which }) => which === deployment.which && revision === deployment.revision);
  const name = !rolling ? "Tasks" : deployment.state === "FAILED" ? "Failed" : deployment.which === "old" ? "Old" : hasFailed ? "Restored" : "New";
  return h("div", { class: `side ${deployment.which}`, "data-key": deployment.id },
    h("h3", {}, `${name}: `, h("span", { class: "id" }, title(deployment))),
    h("p", {}, `${deployment.running} running, ${deployment.pending} pending of ${deployment.desired}`,
      deployment.failed > 0 && ["; ", state("bad", `${plural(deployment.failed, "task")} failed`)],
      deployment.name && h("span", { class: "quiet" }, ` · ${deployment.revision}`)),
    !own ? h("p", { class: "quiet" }, "The tasks are not read yet.")
      : h("ul", { class: "task-list", "aria-label": `Tasks of ${deployment.revision}` }, own.length === 0
        ? h("li", { class: "quiet" }, deployment.running + deployment.pending ? "The tasks are being read …" : "no task")
        : own.map((task) => h("li", { "data-key": task.id }, state(...taskState(task)),
          h("span", { class: "quiet id" }, task.id.slice(0, 8), task.started && [" · ", age(task.started)])))));
}

const ALARMS = { ALARM: ["bad", "in ALARM"], INSUFFICIENT_DATA: ["unknown", "not enough data"], OK: ["good", "OK"] };
const alarmState = (name) => ALARMS[name] ?? ["unknown", name];

export function alarms({ alarms: all }) {
  const ringing = all.filter((alarm) => alarm.state === "ALARM");
  const rest = all.filter((alarm) => alarm.state !== "ALARM");
  const counts = Object.keys(ALARMS).slice(1).map((name) => [all.filter((alarm) => alarm.state === name).length, ALARMS[name][1]]);
  const others = counts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(", ");
  const lead = ringing.length ? state("bad", `${plural(ringing.length, "alarm")} in ALARM`)
    : all.length === 0 ? state("unknown", "This environment has no alarms")
    : state(all.every((alarm) => alarm.state === "OK") ? "good" : "unknown", "No alarm is in ALARM");
  return [
    h("p", { class: "lead" }, lead,
      others && h("span", { class: "quiet" }, ` · ${others}`)),
    ringing.map((alarm) => h("article", { class: "alarm", "data-key": alarm.name },
      h("h3", {}, mark("bad"), " ", alarm.name),
      h("p", {}, alarm.meaning),
      alarm.next && h("p", { class: "next" }, "Next: ", command(alarm.next)),
      h("p", { class: "quiet" }, "in ALARM since ", moment(alarm.since), " UTC, for ", age(alarm.since), alarm.runbook && ["; runbook: ", alarm.runbook]))),
    rest.length > 0 && h("details", {},
      h("summary", {}, `${ringing.length ? "The others" : "All alarms"} (${rest.length})`),
      table("Alarms that are not in ALARM", ["alarm", "state", "since (UTC)", "runbook", "command"], rest.map((alarm) => ({
        key: alarm.name,
        cells: [alarm.name, state(...alarmState(alarm.state)), moment(alarm.since), alarm.runbook, alarm.next && command(alarm.next)],
      })))),
  ];
}

export function ledger({ releases, more, unreadable }) {
  return [
    releases.length === 0 && h("p", { class: "lead" }, more ? "Reading the releases …" : "No release yet."),
    releases.length > 0 && table("Releases and rollbacks, newest first", ["started (UTC)", "outcome", "version", "duration", "by", "why"], releases.map((release) => ({
      key: release.started + release.revision + release.kind,
      class: release.serves ? "serves" : null,
      cells: [
        moment(release.started),
        [state(...outcome(release.outcome)), release.kind === "rollback" && h("span", { class: "quiet" }, " · a rollback")],
        [h("span", { class: "id" }, release.name), h("span", { class: "quiet" }, ` · ${release.revision}`), release.serves && h("strong", {}, " · PRIMARY")],
        release.duration_seconds !== null ? duration(release.duration_seconds) : !release.ended && age(release.started),
        release.by,
        release.why,
      ],
    }))),
    releases.length > 0 && more && h("p", { class: "quiet" }, "Older releases are being read …"),
    unreadable.length > 0 && h("ul", { class: "warnings" }, unreadable.map((text) => h("li", {}, state("warning", text)))),
  ];
}

export function lock(value) {
  if (value.state === "free") return [h("p", { class: "lead" }, state("good", "free"), ": a deployment can start")];
  const word = value.owner === null ? state("bad", "cannot be read") : value.state === "dead" ? state("warning", "held by a dead command") : state("starting", "held");
  return [
    h("p", { class: "lead" }, word, value.owner !== null && [`: ${value.purpose}, by ${value.owner}, for `, age(value.since)]),
    value.owner === null ? h("p", {}, value.text)
      : h("p", { class: "quiet" }, "since ", moment(value.since), ` UTC; its last sign of life was ${duration(value.heartbeat_age_seconds)} old when it was read`,
        value.state === "dead" && ". The next command takes it over."),
    value.next && h("p", { class: "next" }, "Next: ", command(value.next)),
  ];
}

/** What changed, in sentences for a screen reader. */
export function news(before, after) {
  const said = [];
  if (before.rollout && after.rollout) {
    const [was, is] = [before.rollout, after.rollout];
    const name = after.rollout.deployments[0] && title(after.rollout.deployments[0]);
    if (!was.in_progress && is.in_progress) said.push(`A rollout of ${name} began`);
    if (was.in_progress && !is.in_progress) said.push(`The rollout ended; ${name} is PRIMARY`);
    else if (is.in_progress && was.progress !== is.progress) said.push(is.progress);
  }
  if (before.alarms && after.alarms) {
    const was = new Map(before.alarms.alarms.map((alarm) => [alarm.name, alarm.state]));
    for (const { name, state: is } of after.alarms.alarms) {
      if (was.get(name) !== is && (is === "ALARM" || was.get(name) === "ALARM")) said.push(`${name} is ${alarmState(is)[1]}`);
    }
  }
  if (before.ledger && after.ledger) {
    const [was, is] = [before.ledger.releases[0], after.ledger.releases[0]];
    if (is && (was?.outcome !== is.outcome || was?.started !== is.started)) said.push(`${is.name}, ${is.kind}: ${outcome(is.outcome)[1]}`);
  }
  if (before.lock && after.lock && before.lock.state !== after.lock.state) {
    said.push(after.lock.state === "free" ? "The lock is free" : `The lock is ${after.lock.state}: ${after.lock.text}`);
  }
  return said;
}
