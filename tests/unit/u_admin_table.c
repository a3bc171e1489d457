#include "admin/admin.h"

#include <stdio.h>
#include <unistd.h>

#include "t.h"

static char text[4096];

/* What table_print() writes to stdout. */
static void print(const struct table *t, bool json)
{
    const char *path = t_path(t_tmpdir(), "out");

    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    FILE *f = fopen(path, "w+");
    CHECK(f && saved >= 0);
    CHECK(dup2(fileno(f), STDOUT_FILENO) >= 0);
    table_print(t, json);
    fflush(stdout);
    CHECK(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
    rewind(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
}

static const char *const headings[] = {"Topic", "QID"};

TEST(columns_are_as_wide_as_their_widest_cell)
{
    struct table *t = table_new(headings, 2);

    table_add(t, (const char *const[]){"a_long_topic", "0"});
    table_add(t, (const char *const[]){"b", "12345"});
    print(t, false);
    CHECK_STR(text, "#Topic        #QID   \n"
                    "a_long_topic  0      \n"
                    "b             12345  \n");
    table_free(t);
}

TEST(a_table_without_rows_still_shows_its_headings)
{
    struct table *t = table_new(headings, 2);

    print(t, false);
    CHECK_STR(text, "#Topic  #QID  \n");
    print(t, true);
    CHECK_STR(text, "");
    table_free(t);
}

TEST(a_missing_cell_is_empty)
{
    struct table *t = table_new(headings, 2);

    table_add(t, (const char *const[]){NULL, "7"});
    print(t, false);
    CHECK_STR(text, "#Topic  #QID  \n"
                    "        7     \n");
    print(t, true);
    CHECK_STR(text, "{\"Topic\":\"\",\"QID\":\"7\"}\n");
    table_free(t);
}

TEST(json_is_one_object_a_row_with_text_escaped)
{
    struct table *t = table_new(headings, 2);

    table_add(t, (const char *const[]){"say \"hi\"\n", "0"});
    table_add(t, (const char *const[]){"T2", "1"});
    print(t, true);
    CHECK_STR(text, "{\"Topic\":\"say \\\"hi\\\"\\n\",\"QID\":\"0\"}\n"
                    "{\"Topic\":\"T2\",\"QID\":\"1\"}\n");
    table_free(t);
}

TEST(cells_are_copied_when_they_are_added)
{
    struct table *t = table_new(headings, 2);
    char cell[8] = "first";

    table_add(t, (const char *const[]){cell, "0"});
    memcpy(cell, "other", 6);
    print(t, true);
    CHECK_STR(text, "{\"Topic\":\"first\",\"QID\":\"0\"}\n");
    table_free(t);
}

TEST(commands_stand_in_order_and_no_two_options_of_one_share_a_name_or_letter)
{
    CHECK(admin_commands_count > 20);
    for (size_t i = 0; i < admin_commands_count; i++) {
        const struct admin_option *o = admin_commands[i].options;
        CHECK(i == 0 || strcmp(admin_commands[i - 1].name, admin_commands[i].name) < 0);
        CHECK(admin_commands[i].run && *admin_commands[i].help);
        int n = 0;
        for (; o[n].name; n++) {
            for (int j = 0; j < n; j++) {
                CHECK(strcmp(o[j].name, o[n].name) != 0);
                CHECK(!o[n].letter || o[j].letter != o[n].letter);
            }
        }
        CHECK(n <= ADMIN_OPTIONS_MAX);
    }
}
