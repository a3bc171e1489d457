"""Apache's own mqadmin 5.3.3 against our servers."""
import re


def test_topics_groups_and_clusters_are_administered(shared_broker, apache_admin):
    ns, addr = shared_broker.ns, shared_broker.addr
    assert "success" in apache_admin(ns, "updateTopic", "-b", addr, "-t", "adm_t", "-r", "3", "-w", "3")
    assert "adm_t" in apache_admin(ns, "topicList").split()
    assert '"readQueueNums":3' in apache_admin(ns, "topicRoute", "-t", "adm_t").replace(" ", "")
    assert len(re.findall(r"broker-a +\d ", apache_admin(ns, "topicStatus", "-t", "adm_t"))) == 3
    assert "success" in apache_admin(ns, "updateSubGroup", "-b", addr, "-g", "adm_g")
    assert re.search(r"DefaultCluster +broker-a +0 +%s" % addr, apache_admin(ns, "clusterList"))
    status = apache_admin(ns, "brokerStatus", "-b", addr)
    assert "putTps" in status and "commitLogMaxOffset" in status
    assert "success" in apache_admin(ns, "deleteTopic", "-c", "DefaultCluster", "-t", "adm_t")
    assert "adm_t" not in apache_admin(ns, "topicList").split()


def test_the_progress_of_a_group_is_shown(shared_broker, apache_admin, java):
    java("produce", shared_broker.ns, "adm_progress", 20, "sync")
    java("consume", shared_broker.ns, "CG_progress", "adm_progress", "*", 20)
    out = apache_admin(shared_broker.ns, "consumerProgress", "-g", "CG_progress")
    assert re.search(r"adm_progress +broker-a", out) and "Consume Diff Total: 0" in out
