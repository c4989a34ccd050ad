/*-------------------------------------------------------------------------
 *
 * pages.c
 *	  Blocks on page images, as an index lays them out.
 *
 * NOTES
 *	  A page has a head of 64 bytes and 127 lines.  The head lines of a block
 *	  (row identities, annotation) lie on one page: where too few lines are
 *	  left, the block begins on the next page.  Its code lines run on.
 *
 * IDENTIFICATION
 *	  test/kernels/pages.c
 *
 *-------------------------------------------------------------------------
 */
#include "check.h"

static void
next_page(VkPageCursor *cursor)
{
	cursor->page++;
	cursor->line = 0;
}

int
vk_page_block(VkPageCursor *cursor, int head_lines, int lines, VkLineRun *runs)
{
	int			count = 0;

	if (cursor->line + head_lines > VK_PAGE_LINES)
		next_page(cursor);
	cursor->line += head_lines;
	while (lines > 0)
	{
		int			page;
		int			n;

		if (cursor->line == VK_PAGE_LINES)
			next_page(cursor);
		page = cursor->order == NULL ? cursor->page : cursor->order[cursor->page];
		n = VK_PAGE_LINES - cursor->line;
		n = n < lines ? n : lines;
		runs[count].code = cursor->pages + (size_t) page * VK_PAGE_SIZE +
			VK_PAGE_HEAD + (size_t) cursor->line * VK_LINE_SIZE;
		runs[count].lines = n;
		count++;
		cursor->line += n;
		lines -= n;
	}
	return count;
}

int
vk_page_count(int blocks, int head_lines, int lines)
{
	VkPageCursor cursor = {0};

	for (int block = 0; block < blocks; block++)
	{
		int			end;

		if (cursor.line + head_lines > VK_PAGE_LINES)
			next_page(&cursor);
		end = cursor.line + head_lines + lines;
		cursor.page += end / VK_PAGE_LINES;
		cursor.line = end % VK_PAGE_LINES;
	}
	return cursor.page + 1;
}
