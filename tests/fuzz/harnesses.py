"""All fuzz harnesses there are."""

from __future__ import annotations

from tests.fuzz.engine import Harness
from tests.fuzz.modbus import ModbusBoards, ModbusRtu, ModbusTcp
from tests.fuzz.osdp_frame import OsdpFrame
from tests.fuzz.osdp_session import OsdpClear, OsdpSecure
from tests.fuzz.texts import CardText, ControlLine, RecordingText, ScimDocument, SiteFile
from tests.fuzz.wiegand import WiegandEdges, WiegandFormats

HARNESSES: tuple[type[Harness], ...] = (
    OsdpFrame,
    OsdpClear,
    OsdpSecure,
    ModbusRtu,
    ModbusTcp,
    ModbusBoards,
    WiegandEdges,
    WiegandFormats,
    CardText,
    ControlLine,
    SiteFile,
    ScimDocument,
    RecordingText,
)
