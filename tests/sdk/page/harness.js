// One device: the official SDK, and a log of what it told us. Driven from Python (kit/sdk_page.py).
import { CbEvents, getSDK } from '/sdk/lib/index.es.js';

const sdk = getSDK({
  coreWasmPath: '/sdk/assets/openIM.wasm',
  sqlWasmPath: new URL('/sdk/assets/sql-wasm.wasm', location.href).href,
  debug: false,
});

const events = [];    // {name, data, errCode, errMsg}, in the order they came
const received = [];  // messages by callback, in the order they came

const MESSAGE_EVENTS = new Set([
  CbEvents.OnRecvNewMessage, CbEvents.OnRecvNewMessages,
  CbEvents.OnRecvOfflineNewMessage, CbEvents.OnRecvOfflineNewMessages,
]);

for (const name of new Set(Object.values(CbEvents))) {
  sdk.on(name, event => {
    events.push({ name, data: event.data ?? null, errCode: event.errCode ?? 0, errMsg: event.errMsg ?? '' });
    if (MESSAGE_EVENTS.has(name)) {
      received.push(...[event.data].flat().map(brief));
    }
  });
}

function brief(message) {
  return {
    clientMsgID: message.clientMsgID,
    serverMsgID: message.serverMsgID,
    seq: message.seq,
    sendID: message.sendID,
    recvID: message.recvID,
    groupID: message.groupID,
    contentType: message.contentType,
    content: message.textElem?.content ?? message.notificationElem?.detail ?? '',
    sendTime: message.sendTime,
    status: message.status,
    isRead: message.isRead,
  };
}

// Every answer is data: an SDK rejection comes back as {ok: false, errCode, errMsg}.
async function attempt(work) {
  try {
    const answer = await work();
    return { ok: true, data: answer?.data ?? null };
  } catch (problem) {
    return { ok: false, errCode: problem?.errCode ?? -1, errMsg: problem?.errMsg ?? String(problem) };
  }
}

async function history(conversationID) {
  const found = [];
  let startClientMsgID = '';
  for (;;) {
    const { data } = await sdk.getAdvancedHistoryMessageList({
      conversationID, startClientMsgID, count: 40, viewType: 0,
    });
    found.unshift(...data.messageList);
    if (data.isEnd || data.messageList.length === 0) {
      return { data: found.map(brief) };
    }
    startClientMsgID = data.messageList[0].clientMsgID;
  }
}

async function sendText({ recvID = '', groupID = '', text }) {
  const { data: message } = await sdk.createTextMessage(text);
  const { data: sent } = await sdk.sendMessage({ recvID, groupID, message });
  return { data: brief(sent) };
}

window.harness = {
  login: params => attempt(() => sdk.login({ logLevel: 3, isLogStandardOutput: false, ...params })),
  logout: () => attempt(() => sdk.logout()),
  loginStatus: () => attempt(() => sdk.getLoginStatus()),
  sendText: params => attempt(() => sendText(params)),
  sendMany: ({ texts, ...to }) => attempt(async () => {
    const sent = [];
    for (const text of texts) {
      sent.push((await sendText({ ...to, text })).data);
    }
    return { data: sent };
  }),
  history: conversationID => attempt(() => history(conversationID)),
  createGroup: params => attempt(() => sdk.createGroup(params)),
  // Any other method of the SDK, by its name.
  call: ({ method, args }) => attempt(() => sdk[method](...args)),
  received: () => received,
  events: () => events,
};
window.harnessReady = true;
