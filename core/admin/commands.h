/*
 * commands - every command of mqadmin, by file
 */
#ifndef ADMIN_COMMANDS_H
#define ADMIN_COMMANDS_H

#include "admin/admin.h"

/* cmd_topic.c */
int cmd_update_topic(struct admin *a, const struct admin_values *v);
int cmd_delete_topic(struct admin *a, const struct admin_values *v);
int cmd_topic_list(struct admin *a, const struct admin_values *v);
int cmd_topic_status(struct admin *a, const struct admin_values *v);
int cmd_topic_route(struct admin *a, const struct admin_values *v);
int cmd_cluster_list(struct admin *a, const struct admin_values *v);
/* cmd_message.c */
int cmd_send_message(struct admin *a, const struct admin_values *v);
int cmd_consume_message(struct admin *a, const struct admin_values *v);
/* cmd_script.c */
int cmd_put_script(struct admin *a, const struct admin_values *v);
int cmd_get_script(struct admin *a, const struct admin_values *v);
int cmd_script_status(struct admin *a, const struct admin_values *v);
int cmd_rollback_script(struct admin *a, const struct admin_values *v);
int cmd_delete_script(struct admin *a, const struct admin_values *v);
int cmd_bind_script(struct admin *a, const struct admin_values *v);
int cmd_unbind_script(struct admin *a, const struct admin_values *v);

#endif
