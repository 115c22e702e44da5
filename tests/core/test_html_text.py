from __future__ import annotations

import time

import pytest

from rlm_core.html_text import html_text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("<p>never closed <b>x", "never closed x"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<p> one\n  two </p>\n<p>three</p>", "one two\n\nthree"),
        ("x<b> bold</b> <i>it</i>", "x bold it"),
        ("1 < 2 && 3 > 2 &lt;b&gt; &#233; &copy;", "1 < 2 && 3 > 2 <b> é ©"),
        ("a<!-- <p>no</p> -->b<!DOCTYPE x><?php echo ?>c", "abc"),
        ("a<![CDATA[<raw> & ]]>b", "a<raw> & b"),
        ("<script>if (a < b) '</p>'</SCRIPT >seen<style>p {}</style>", "seen"),
        ("<svg><title>no</title></svg>yes<svg/>too", "yestoo"),
        ("<ul><li>a<li><p>b</p></ul>c", "- a\n- b\n\nc"),
        ('<a title="x > y" HREF="https://e.org/?a=1&amp;b">go</a>', "[go](https://e.org/?a=1&b)"),
        ("<a href='#top'>up</a> <img alt=Logo src=x>", "up Logo"),
        ("<pre>  a\n   b</pre>", "  a\n   b"),
        (
            "<table><tr><td><p>a</p><p>b</p><td></td><td>c</td></tr><tr><td></td><td>d</td></tr></table>e",
            "a\n\nb\t\tc\n\td\n\ne",
        ),
        ("<div><table><tr><td><table><tr><td>n</td><td>m</td></tr></table></td><td>side", "n\tm\tside"),
        ("text <a", "text"),
        ("text <!-- never", "text"),
        ("text <script> never", "text"),
        ("a <3 b <- c", "a <3 b <- c"),
    ],
)
def test_a_page_becomes_what_its_reader_sees(source: str, text: str) -> None:
    assert html_text(source) == text


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<!",
        "<!--",
        "<a ",
        "</",
        "&#",
        "<![",
        "<a b='",
        "<a '\">",
        "<script>",
        "<?",
        "<p>",
        "<td>",
        "a='",
    ],
)
def test_no_page_takes_more_than_linear_time(piece: str) -> None:
    """Compared with itself at a tenth of the length, so that a busy machine does not matter much."""

    def seconds(times: int) -> float:
        best = 1e9
        for _ in range(3):
            started = time.process_time()
            html_text("<p " + piece * times)
            html_text("<p>x" + piece * times + ">")
            best = min(best, time.process_time() - started)
        return best

    assert seconds(20_000) < 40 * seconds(2_000) + 0.5
