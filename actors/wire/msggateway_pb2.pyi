from greenroom.actors.wire import sdkws_pb2 as _sdkws_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnlinePushMsgReq(_message.Message):
    __slots__ = ("msgData", "pushToUserID")
    MSGDATA_FIELD_NUMBER: _ClassVar[int]
    PUSHTOUSERID_FIELD_NUMBER: _ClassVar[int]
    msgData: _sdkws_pb2.MsgData
    pushToUserID: str
    def __init__(self, msgData: _Optional[_Union[_sdkws_pb2.MsgData, _Mapping]] = ..., pushToUserID: _Optional[str] = ...) -> None: ...

class OnlinePushMsgResp(_message.Message):
    __slots__ = ("resp",)
    RESP_FIELD_NUMBER: _ClassVar[int]
    resp: _containers.RepeatedCompositeFieldContainer[SingleMsgToUserPlatform]
    def __init__(self, resp: _Optional[_Iterable[_Union[SingleMsgToUserPlatform, _Mapping]]] = ...) -> None: ...

class SingleMsgToUserResults(_message.Message):
    __slots__ = ("userID", "resp", "onlinePush")
    USERID_FIELD_NUMBER: _ClassVar[int]
    RESP_FIELD_NUMBER: _ClassVar[int]
    ONLINEPUSH_FIELD_NUMBER: _ClassVar[int]
    userID: str
    resp: _containers.RepeatedCompositeFieldContainer[SingleMsgToUserPlatform]
    onlinePush: bool
    def __init__(self, userID: _Optional[str] = ..., resp: _Optional[_Iterable[_Union[SingleMsgToUserPlatform, _Mapping]]] = ..., onlinePush: _Optional[bool] = ...) -> None: ...

class OnlineBatchPushOneMsgReq(_message.Message):
    __slots__ = ("msgData", "pushToUserIDs")
    MSGDATA_FIELD_NUMBER: _ClassVar[int]
    PUSHTOUSERIDS_FIELD_NUMBER: _ClassVar[int]
    msgData: _sdkws_pb2.MsgData
    pushToUserIDs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, msgData: _Optional[_Union[_sdkws_pb2.MsgData, _Mapping]] = ..., pushToUserIDs: _Optional[_Iterable[str]] = ...) -> None: ...

class OnlineBatchPushOneMsgResp(_message.Message):
    __slots__ = ("singlePushResult",)
    SINGLEPUSHRESULT_FIELD_NUMBER: _ClassVar[int]
    singlePushResult: _containers.RepeatedCompositeFieldContainer[SingleMsgToUserResults]
    def __init__(self, singlePushResult: _Optional[_Iterable[_Union[SingleMsgToUserResults, _Mapping]]] = ...) -> None: ...

class SingleMsgToUserPlatform(_message.Message):
    __slots__ = ("ResultCode", "RecvID", "RecvPlatFormID")
    RESULTCODE_FIELD_NUMBER: _ClassVar[int]
    RECVID_FIELD_NUMBER: _ClassVar[int]
    RECVPLATFORMID_FIELD_NUMBER: _ClassVar[int]
    ResultCode: int
    RecvID: str
    RecvPlatFormID: int
    def __init__(self, ResultCode: _Optional[int] = ..., RecvID: _Optional[str] = ..., RecvPlatFormID: _Optional[int] = ...) -> None: ...

class GetUsersOnlineStatusReq(_message.Message):
    __slots__ = ("userIDs",)
    USERIDS_FIELD_NUMBER: _ClassVar[int]
    userIDs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, userIDs: _Optional[_Iterable[str]] = ...) -> None: ...

class GetUsersOnlineStatusResp(_message.Message):
    __slots__ = ("successResult", "failedResult")
    class SuccessDetail(_message.Message):
        __slots__ = ("platformID", "connID", "isBackground", "token")
        PLATFORMID_FIELD_NUMBER: _ClassVar[int]
        CONNID_FIELD_NUMBER: _ClassVar[int]
        ISBACKGROUND_FIELD_NUMBER: _ClassVar[int]
        TOKEN_FIELD_NUMBER: _ClassVar[int]
        platformID: int
        connID: str
        isBackground: bool
        token: str
        def __init__(self, platformID: _Optional[int] = ..., connID: _Optional[str] = ..., isBackground: _Optional[bool] = ..., token: _Optional[str] = ...) -> None: ...
    class FailedDetail(_message.Message):
        __slots__ = ("userID",)
        USERID_FIELD_NUMBER: _ClassVar[int]
        userID: str
        def __init__(self, userID: _Optional[str] = ...) -> None: ...
    class SuccessResult(_message.Message):
        __slots__ = ("userID", "status", "detailPlatformStatus")
        USERID_FIELD_NUMBER: _ClassVar[int]
        STATUS_FIELD_NUMBER: _ClassVar[int]
        DETAILPLATFORMSTATUS_FIELD_NUMBER: _ClassVar[int]
        userID: str
        status: int
        detailPlatformStatus: _containers.RepeatedCompositeFieldContainer[GetUsersOnlineStatusResp.SuccessDetail]
        def __init__(self, userID: _Optional[str] = ..., status: _Optional[int] = ..., detailPlatformStatus: _Optional[_Iterable[_Union[GetUsersOnlineStatusResp.SuccessDetail, _Mapping]]] = ...) -> None: ...
    SUCCESSRESULT_FIELD_NUMBER: _ClassVar[int]
    FAILEDRESULT_FIELD_NUMBER: _ClassVar[int]
    successResult: _containers.RepeatedCompositeFieldContainer[GetUsersOnlineStatusResp.SuccessResult]
    failedResult: _containers.RepeatedCompositeFieldContainer[GetUsersOnlineStatusResp.FailedDetail]
    def __init__(self, successResult: _Optional[_Iterable[_Union[GetUsersOnlineStatusResp.SuccessResult, _Mapping]]] = ..., failedResult: _Optional[_Iterable[_Union[GetUsersOnlineStatusResp.FailedDetail, _Mapping]]] = ...) -> None: ...

class SingleDetail(_message.Message):
    __slots__ = ("userID", "status", "singlePlatformToken")
    USERID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SINGLEPLATFORMTOKEN_FIELD_NUMBER: _ClassVar[int]
    userID: str
    status: int
    singlePlatformToken: _containers.RepeatedCompositeFieldContainer[SinglePlatformToken]
    def __init__(self, userID: _Optional[str] = ..., status: _Optional[int] = ..., singlePlatformToken: _Optional[_Iterable[_Union[SinglePlatformToken, _Mapping]]] = ...) -> None: ...

class SinglePlatformToken(_message.Message):
    __slots__ = ("platformID", "total", "token")
    PLATFORMID_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    platformID: int
    total: int
    token: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, platformID: _Optional[int] = ..., total: _Optional[int] = ..., token: _Optional[_Iterable[str]] = ...) -> None: ...

class KickUserOfflineReq(_message.Message):
    __slots__ = ("platformID", "kickUserIDList")
    PLATFORMID_FIELD_NUMBER: _ClassVar[int]
    KICKUSERIDLIST_FIELD_NUMBER: _ClassVar[int]
    platformID: int
    kickUserIDList: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, platformID: _Optional[int] = ..., kickUserIDList: _Optional[_Iterable[str]] = ...) -> None: ...

class KickUserOfflineResp(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MultiTerminalLoginCheckReq(_message.Message):
    __slots__ = ("userID", "platformID", "token")
    USERID_FIELD_NUMBER: _ClassVar[int]
    PLATFORMID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    userID: str
    platformID: int
    token: str
    def __init__(self, userID: _Optional[str] = ..., platformID: _Optional[int] = ..., token: _Optional[str] = ...) -> None: ...

class MultiTerminalLoginCheckResp(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
