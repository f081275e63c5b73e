// What the page says, in both languages.

const WORDS = {
  en: {
    skip: "Skip to the deliveries", pause: "Pause", go_on: "Go on", figures: "Figures", findings: "What is wrong",
    ready: "Ready", not_ready: "Not ready", silent: "No answer from the daemon",
    endpoints: "Endpoints", minutes: "The last ten minutes, in steps of five seconds.", deliveries: "Recent deliveries",
    search: "Row id or wallet code",
    memory: "Only the latest deliveries since the daemon's start are kept here. Older ones are found by: pushctl history",
    undelivered: "Not delivered", delivered_list: "Delivered", none: "None.",
    found: (count) => `${count} found`,
    total: "Delivered", failed_total: "Failed", expired_total: "Expired", backlog: "Waiting", unsettled: "Outcomes to be written",
    last_push: "Last push", delay: "Mean response", ago: (span) => `${span} ago`, never: "never",
    well: "well", failing: "failing", behind: "falls behind", idle: "nothing sent yet", unused: "not in use",
    delivered: "delivered", failed: "failed", expired: "expired", filtered: "filtered",
    counts: (of) => `${of.delivered} delivered, ${of.failed} failed, ${of.expired} expired`,
    waiting: (of) => `${of.queued} waiting, ${of.retries} of them for a retry; ${of.busy} of ${of.pushers} pushers busy`,
    since: (span, count) => `Has not taken anything for ${span}, ${count} attempts:`, last_error: "Last error:",
    per_second: (most) => `Deliveries, at most ${most}/s`, responses: (mean, most) => `Responses, mean ${mean}, longest ${most}`,
    no_responses: "No responses",
    time: "Ended", row: "Row", wallet_code: "Wallet code", nick: "Nickname", endpoint: "Endpoint", outcome: "Outcome",
    attempts: "Attempts", answer: "Answer", took: "Took", age: "Age of the row",
    about: (of, up) => `pushd ${of.version}, up for ${up}. ${of.status}`,
    units: ["s", "min", "h", "d"], reason: {},
  },
  zh: {
    skip: "跳到推送记录", pause: "暂停", go_on: "继续", figures: "数据", findings: "存在的问题",
    ready: "就绪", not_ready: "未就绪", silent: "守护进程没有应答",
    endpoints: "端点", minutes: "最近十分钟，每格五秒。", deliveries: "最近的推送",
    search: "行 ID 或钱包代码",
    memory: "这里只保留守护进程启动以来最近的推送。更早的记录请用：pushctl history",
    undelivered: "未送达", delivered_list: "已送达", none: "无。",
    found: (count) => `找到 ${count} 条`,
    total: "已送达", failed_total: "失败", expired_total: "已过期", backlog: "等待中", unsettled: "待写入的结果",
    last_push: "最近推送", delay: "平均响应", ago: (span) => `${span}前`, never: "尚无",
    well: "正常", failing: "推送失败", behind: "跟不上", idle: "尚未推送", unused: "未使用",
    delivered: "已送达", failed: "失败", expired: "已过期", filtered: "已过滤",
    counts: (of) => `已送达 ${of.delivered}，失败 ${of.failed}，过期 ${of.expired}`,
    waiting: (of) => `等待 ${of.queued}，其中待重试 ${of.retries}；并发推送 ${of.busy}/${of.pushers}`,
    since: (span, count) => `已有 ${span}未接收任何数据，共尝试 ${count} 次：`, last_error: "最近的错误：",
    per_second: (most) => `推送数，最高 ${most}/秒`, responses: (mean, most) => `响应时间，平均 ${mean}，最长 ${most}`,
    no_responses: "没有响应",
    time: "结束时间", row: "行", wallet_code: "钱包代码", nick: "昵称", endpoint: "端点", outcome: "结果",
    attempts: "尝试次数", answer: "应答", took: "耗时", age: "数据年龄",
    about: (of, up) => `pushd ${of.version}，已运行 ${up}。${of.status}`,
    units: ["秒", "分钟", "小时", "天"],
    // The daemon's own words follow in English; these say what kind of thing it is.
    reason: {
      database: "无法连接 PostgreSQL", listen: "LISTEN 已断开，只能靠清扫发现新行", heartbeat: "无法写入账本，心跳失败",
      settle: "推送结果无法写入", outcomes: "待写入的结果过多，暂停认领", claim: "无法认领新行", sweep: "无法清扫遗漏的行",
      lease: "租约已过期，暂停推送", starting: "正在启动", stopping: "正在停止", hangs: "有循环停滞，请重启守护进程",
      disabled: "webhook.enabled 为 false，不推送", trigger: "触发器缺失或异常，只能靠清扫发现新行",
      rows: "行级安全策略使 pushd 看不到任何行", config: "配置未能重新加载，仍使用旧配置",
      session: "有数据库会话断开", endpoint: "有端点不接收数据", behind: "有端点跟不上",
    },
  },
};

export function preferred(languages) {
  const first = languages.map((each) => each.toLowerCase().split("-")[0]).find((each) => each in WORDS);
  return first ?? "en";
}

export function words(language) {
  return WORDS[language];
}
