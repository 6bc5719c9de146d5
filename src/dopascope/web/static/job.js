// Shows how far a reading is, and goes to it when it is there. Without scripts the page loads itself again.
const job = document.getElementById("job");
const state = document.getElementById("state");
const source = new EventSource(job.dataset.events);
source.onmessage = (event) => {
  const told = JSON.parse(event.data);
  state.textContent = told.progress;
  if (["done", "refused", "dead"].includes(told.state)) {
    source.close();
    window.location.reload();
  }
};
