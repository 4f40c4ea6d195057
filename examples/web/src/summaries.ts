/** The server's summaries of changes, which are in English: with names as people write them, and in Chinese. */

export const quoted = (summary: string): string => summary.replace(/`([^`]*)`/g, "“$1”");

const NAMES = "(`.*`(?: and \\d+ more)?)";
const SAMPLES = "(\\d+) samples?";
const SUGGESTIONS = "(\\d+) suggestions?";

/** What the server writes, with groups, and the Chinese for it. */
const CHINESE = Object.entries({
  "(Sync|Import|Auto labelling), (\\d+) changes": "$1，$2 项修改", // of a job, undone
  [`Created ${NAMES}`]: "新建标签 $1",
  [`Changed the colour or shortcut of ${NAMES}`]: "修改标签 $1 的颜色或快捷键",
  [`Renamed ${NAMES} to ${NAMES}`]: "将标签 $1 改名为 $2",
  [`Merged ${NAMES} into ${NAMES}`]: "将标签 $1 合并到 $2",
  [`Deleted ${NAMES}`]: "删除标签 $1",
  [`Deleted ${NAMES} and ${SAMPLES}`]: "删除标签 $1 和 $2 张图片",
  [`Added ${NAMES} to ${SAMPLES}`]: "为 $2 张图片添加 $1",
  [`Set ${NAMES} on ${SAMPLES}`]: "将 $2 张图片的标签设为 $1",
  [`Removed ${NAMES} from ${SAMPLES}`]: "从 $2 张图片移除 $1",
  [`Removed all labels from ${SAMPLES}`]: "移除 $1 张图片的全部标签",
  [`Replaced ${NAMES} with ${NAMES} on ${SAMPLES}`]: "将 $3 张图片的 $1 改为 $2",
  [`Annotated ${SAMPLES}: (.*)`]: "标注 $1 张图片：$2",
  [`(\`.*\` .*) suggested annotations of ${SAMPLES}`]: "$1 为 $2 张图片提出建议",
  [`Accepted ${SUGGESTIONS} on ${SAMPLES}`]: "接受 $2 张图片的 $1 项建议",
  [`Rejected ${SUGGESTIONS} on ${SAMPLES}`]: "拒绝 $2 张图片的 $1 项建议",
  [`Marked ${SAMPLES} as (.*)`]: "将 $1 张图片标为 $2",
  [`Deleted ${SAMPLES}`]: "删除 $1 张图片",
  [`Deleted ${SAMPLES} with their files`]: "删除 $1 张图片及其文件",
  "Uploaded (\\d+) images?": "上传 $1 张图片",
  "Switched to version (`.*`)": "切换到版本 $1",
  "(Sync|Import): (.*)": "$1：$2",
}).map(([english, chinese]): [RegExp, string] => [new RegExp(`^${english}$`, "su"), chinese]);

const WORDS: Record<string, string> = {
  Sync: "同步",
  Import: "导入",
  "Auto labelling": "自动标注",
  added: "新增",
  updated: "更新",
  changed: "修改",
  moved: "移动",
  removed: "移除",
  "whose files are gone": "其文件已不存在",
  hard: "难例",
  "not hard": "非难例",
  "for TRAIN": "用于训练",
  "for EVAL": "用于验证",
  "for TEST": "用于测试",
  "for INFERENCE": "用于推理",
  "for no use": "无用途",
};

/** Names stay as they are. In lists such as `2 added, 1 removed` the numbers come last. */
const words = (group: string): string =>
  group.startsWith("`")
    ? group.replaceAll("`, `", "`、`").replace(/` and (\d+) more$/, "` 等（另有 $1 个）")
    : group
        .split(", ")
        .map((part) => {
          const [, count, word = part] = /^(\d+) (.*)$/.exec(part) ?? [];
          return (WORDS[word] ?? word) + (count === undefined ? "" : ` ${count}`);
        })
        .join("，");

/** A summary in Chinese. What a later server writes is shown as it is. */
export function inChinese(summary: string): string {
  const [, verb, done] = /^(Undid|Redid): (.*)$/su.exec(summary) ?? [];
  if (done !== undefined) return `${verb === "Undid" ? "撤销" : "重做"}：${inChinese(done)}`;
  for (const [pattern, chinese] of CHINESE) {
    const [, ...groups] = pattern.exec(summary) ?? [];
    if (groups.length > 0) return quoted(chinese.replace(/\$(\d)/g, (_, number) => words(groups[Number(number) - 1]!)));
  }
  return quoted(summary);
}
