"""A folder as S3, lean: `python -m bench.s3 FOLDER MS`; says its port, and ends with its input.

moto looks at all objects for each listing, which takes more of the processor than the question that
is measured. This one knows what each folder holds, answers after MS milliseconds, and takes any
credentials. It lists with a delimiter (a thousand names a page), gets, and puts what is not there.
GET /requests: how many there were.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_PAGE: Final = 1000


class Folder:
    """What lies below a path, by folder: objects with their sizes and times, and folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.objects: dict[str, dict[str, tuple[str, int, float]]] = {"": {}}
        self.folders: dict[str, set[str]] = {"": set()}
        self.pages: dict[tuple[str, str], bytes] = {}
        self.requests = 0
        for file in path.rglob("*"):
            if file.is_file():
                self.add(file.relative_to(path).as_posix())

    def add(self, name: str) -> None:
        """Its tag is as obstore makes one for a file: it is read there as well as here."""
        folder, _, file = name.rpartition("/")
        of = (self.path / name).stat()
        tag = f'"{of.st_ino:x}-{of.st_mtime_ns // 1000:x}-{of.st_size:x}"'
        self.objects.setdefault(folder, {})[file] = tag, of.st_size, of.st_mtime
        if self.pages:
            self.pages = {of: page for of, page in self.pages.items() if of[0] != folder}
        while folder:
            above, _, own = folder.rpartition("/")
            self.objects.setdefault(above, {})
            self.folders.setdefault(above, set()).add(own)
            folder = above

    def has(self, name: str) -> bool:
        folder, _, file = name.rpartition("/")
        return file in self.objects.get(folder, {})

    def page(self, folder: str, after: str) -> bytes:
        if (folder, after) not in self.pages:
            self.pages[folder, after] = self._page(folder, after)
        return self.pages[folder, after]

    def _page(self, folder: str, after: str) -> bytes:
        files, folders = self.objects.get(folder, {}), self.folders.get(folder, set())
        names = sorted(name for name in {*files, *folders} if name > after)
        shown, prefix, parts = names[:_PAGE], f"{folder}/" if folder else "", []
        for name in shown:
            if name in folders:
                text = f"<CommonPrefixes><Prefix>{escape(prefix + name)}/</Prefix></CommonPrefixes>"
                parts.append(text)
                continue
            tag, size, at = files[name]
            moment = dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            parts.append(
                f"<Contents><Key>{escape(prefix + name)}</Key><LastModified>{moment}"
                f"</LastModified><ETag>{tag}</ETag><Size>{size}</Size></Contents>"
            )
        more = len(names) > len(shown)
        token = (
            f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>acme</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(shown)}</KeyCount>"
            f"<MaxKeys>{_PAGE}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"{''.join(parts)}</ListBucketResult>"
        ).encode()


async def _serve(
    folder: Folder, delay_s: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            url = urlsplit(target)
            _, _, name = unquote(url.path).lstrip("/").partition("/")
            if url.path == "/requests":
                _answer(writer, 200, str(folder.requests).encode())
                continue
            folder.requests += 1
            await asyncio.sleep(delay_s)
            if method == "PUT":
                _put(folder, writer, name, body, "if-none-match" in headers)
            elif "list-type" in url.query:
                asked = parse_qs(url.query)
                inside = asked.get("prefix", [""])[0].rstrip("/")
                _answer(writer, 200, folder.page(inside, asked.get("continuation-token", [""])[0]))
            elif not folder.has(name):
                _answer(writer, 404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                tag, _, at = folder.objects[name.rpartition("/")[0]][name.rpartition("/")[2]]
                _answer(writer, 200, (folder.path / name).read_bytes(), tag, at)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _put(folder: Folder, writer: asyncio.StreamWriter, name: str, body: bytes, new: bool) -> None:
    if new and folder.has(name):
        _answer(writer, 412, b"<Error><Code>PreconditionFailed</Code></Error>")
        return
    path = folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # it may be a link
    path.write_bytes(body)
    folder.add(name)
    tag, _, at = folder.objects[name.rpartition("/")[0]][path.name]
    _answer(writer, 200, b"", tag, at)


def _answer(
    writer: asyncio.StreamWriter, status: int, body: bytes, tag: str = '""', at: float = 0.0
) -> None:
    head = (
        f"HTTP/1.1 {status} OK\r\nETag: {tag}\r\n"
        f"Last-Modified: {formatdate(at, usegmt=True)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)


async def _main() -> None:
    folder, delay_s = Folder(Path(sys.argv[1])), float(sys.argv[2]) / 1000
    serve = partial(_serve, folder, delay_s)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main())
