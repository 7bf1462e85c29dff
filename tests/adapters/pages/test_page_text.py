"""HTML becomes text: what a person would see of it, in time linear in its length."""

import time

import pytest

from worktrain.adapters.pages.text import of_html


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<h1>A</h1>\n<p>One\n  two</p><p>Three</p>", "A\n\nOne two\n\nThree"),
        ("<ul><li>One<li>Two</ul>", "- One\n- Two"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<pre>  x = 1\n    y</pre>after", "x = 1\n    y\n\nafter"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a b\n c"),
        ("1 < 2 &lt;b&gt; &#233; &amp;amp;", "1 < 2 <b> é &amp;"),
        ("<a href=\"x>y\" title='>'>link</a>", "link"),
        ("<p title=it's>kept</p> and more", "kept\n\n and more".replace("\n ", "\n")),
        ("<script>a<b</script>x<STYLE>p{}</STYLE >y", "xy"),
        ("<script>never closed <p>x</p>", ""),
        ("x<!-- hidden <p> -->y<!-->z<!-- never closed", "xyz"),
        ("<!DOCTYPE html><?xml?>x", "x"),
        ("x<p hidden>no<p>no</p></p>y<br hidden>z", "xy\nz"),
        ('x<div style="color:red; display : none">no</div>y', "xy"),
        ('<p class="a hidden b">seen</p>', "seen"),
        ("<template>no</template><svg><text>no</text></svg>x", "x"),
        ("x<a never closed", "x"),
        (f"&#{'9' * 5_000};", f"&#{'9' * 5_000};"),
        ("", ""),
    ],
)
def test_a_page_says_what_a_person_would_see(page: str, told: str) -> None:
    assert of_html(page) == told


@pytest.mark.parametrize(
    "piece",
    [
        *("<!--", "<a ", "<a x='", "<a x=", "</a ", "<![CDATA[", "<aaaa", "<script>", "</script"),
        *("&#", "<", "<p>", "<p hidden>", '<p style="', "= ", "<?"),
    ],
)
def test_a_hostile_page_takes_no_longer_than_a_plain_one(piece: str) -> None:
    began = time.process_time()
    of_html((piece * 400_000)[:400_000])
    assert time.process_time() - began < 3
